-- Claims the letter of a user's desk that has waited longest. ARGV: user, claim_s. Returns its id and content, or nothing.
local user = ARGV[1]
local waiting = desk_waiting(user)
local id = redis.call('ZRANGEBYSCORE', waiting, '-inf', NOW_JSON, 'LIMIT', 0, 1)[1]
if not id then return false end
redis.call('ZADD', waiting, NOW + ARGV[2], id)
return {id, redis.call('HGET', desk_letters(user), id)}
