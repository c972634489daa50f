-- Removes keyed letters that were collected before from a user's desk, and collects those that can be taken back no
-- longer: all but the newest, which stays undo_s. ARGV: user, undo_s, ids collected before...
-- Returns id, letter and postcode of each, in the order in which they were keyed.
local user, collected = ARGV[1], {}
for i = 3, #ARGV do
  if redis.call('ZREM', desk_keyed(user), ARGV[i]) == 1 then
    redis.call('HDEL', desk_letters(user), ARGV[i])
    redis.call('HDEL', desk_postcodes(user), ARGV[i])
  end
end
local keyed = redis.call('ZRANGE', desk_keyed(user), 0, -1, 'WITHSCORES')
for i = 1, #keyed, 2 do
  local id = keyed[i]
  if i + 1 < #keyed or NOW - keyed[i + 1] >= tonumber(ARGV[2]) then
    collected[#collected + 1] = {
      id, redis.call('HGET', desk_letters(user), id), redis.call('HGET', desk_postcodes(user), id)}
  end
end
return collected
