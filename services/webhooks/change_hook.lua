-- Changes fields of a webhook. ARGV: user, id, fields... Returns 1, or 0 where there is none.
local key = hook_key(ARGV[1], ARGV[2])
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('HSET', key, unpack(ARGV, 3))
return 1
