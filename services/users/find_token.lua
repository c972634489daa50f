-- Finds the user of a token. ARGV: digest. Returns the user, their fields, the token's times, the time now, the classes
-- they teach and, of the class in which they are a pupil, its end and whether it is paused; or nothing.
local name = redis.call('HGET', TOKENS, ARGV[1])
if not name then return false end
local code = string.match(group_of(name), '^class%-(.*)$')
local class = code and name ~= group_of(name) and redis.call('HMGET', class_key(code), 'until', 'paused')
return {name, redis.call('HGETALL', user_key(name)), redis.call('HGET', tokens_of(name), ARGV[1]), NOW_JSON,
        redis.call('SMEMBERS', classes_of(name)), class and {class[1] or '0', class[2] or 'false'} or {}}
