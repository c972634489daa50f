-- Lets a keyed letter wait again, claimed by its coder. ARGV: user, id, claim_s. Returns id and letter, or nothing.
local user, id = ARGV[1], ARGV[2]
local letter = redis.call('HGET', desk_letters(user), id)
if not letter then return false end
if redis.call('ZREM', desk_keyed(user), id) == 1 then redis.call('DECR', desk_count(user)) end
redis.call('HDEL', desk_postcodes(user), id)
redis.call('ZADD', desk_waiting(user), NOW + ARGV[3], id)
redis.call('PEXPIRE', desk_waiting(user), redis.call('PTTL', desk_letters(user)))
return {id, letter}
