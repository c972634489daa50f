-- Puts a rejected letter on a user's desk. ARGV: user, id, letter, most letters, keep_s. Returns 1, or 0 if it is full.
local user, id, keep_s = ARGV[1], ARGV[2], ARGV[5]
local letters = desk_letters(user)
if redis.call('HEXISTS', letters, id) == 1 then return 1 end
if redis.call('HLEN', letters) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', letters, id, ARGV[3])
redis.call('ZADD', desk_waiting(user), NOW_JSON, id)
for _, key in ipairs({letters, desk_waiting(user), desk_keyed(user), desk_postcodes(user), desk_count(user)}) do
  redis.call('EXPIRE', key, keep_s)
end
return 1
