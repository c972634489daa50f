-- Stores the postcode that a coder keyed. ARGV: user, id, postcode as JSON. Returns id and letter, or nothing without it.
local user, id = ARGV[1], ARGV[2]
local letter = redis.call('HGET', desk_letters(user), id)
if not letter then return false end
local left_ms = redis.call('PTTL', desk_letters(user))
if redis.call('ZREM', desk_waiting(user), id) == 1 then redis.call('INCR', desk_count(user)) end
redis.call('HSET', desk_postcodes(user), id, ARGV[3])
redis.call('ZADD', desk_keyed(user), NOW_JSON, id)
for _, key in ipairs({desk_postcodes(user), desk_keyed(user), desk_count(user)}) do
  redis.call('PEXPIRE', key, left_ms)
end
return {id, letter}
