-- Finds the user of a token. ARGV: digest. Returns the user, their fields, the token's times and the time now, or nothing.
local name = redis.call('HGET', TOKENS, ARGV[1])
if not name then return false end
local key = user_key(name)
return {name, redis.call('HGETALL', key), redis.call('HGET', tokens_of(name), ARGV[1]), NOW_JSON}
