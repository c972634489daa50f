-- Adds a webhook of a user. ARGV: user, id, most hooks of the user, fields... Returns 'done', 'same' or 'full'.
local user, hook = ARGV[1], ARGV[2]
if redis.call('EXISTS', hook_key(user, hook)) == 1 then return 'same' end
if redis.call('ZCARD', hooks_of(user)) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', hook_key(user, hook), 'at', NOW_JSON, 'off', '', 'failing_since', '', unpack(ARGV, 4))
redis.call('ZADD', hooks_of(user), NOW_JSON, hook)
return 'done'
