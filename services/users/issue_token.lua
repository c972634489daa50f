-- Keeps the digest of a user's new token. ARGV: user, digest, 'new' (records the user too), 'add' or 'replace' (the
-- user's other tokens are void), seconds until it expires (0: never), fields of the new user.
-- Returns the token's times, or nothing when a new user is there already or another is not.
local name, digest, mode, life_s = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = user_key(name)
if (redis.call('EXISTS', key) == 1) == (mode == 'new') then return false end
if mode == 'new' then
  redis.call('HSET', key, 'created_at', NOW_JSON, unpack(ARGV, 5))
  redis.call('SADD', USERS, name)
end
local tokens = redis.call('HGETALL', tokens_of(name))
for i = 1, #tokens, 2 do
  local ends = tonumber(string.match(tokens[i + 1], ' (%S+)$'))
  if mode == 'replace' or (ends > 0 and ends < NOW) then
    redis.call('HDEL', tokens_of(name), tokens[i])
    redis.call('HDEL', TOKENS, tokens[i])
  end
end
local times = string.format('%.3f %.3f', NOW, life_s > 0 and NOW + life_s or 0)
redis.call('HSET', tokens_of(name), digest, times)
redis.call('HSET', TOKENS, digest, name)
return times
