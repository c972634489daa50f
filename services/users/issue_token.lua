-- Keeps the digest of a user's new token. ARGV: user, digest, 'new' (records the user too), 'add' or 'replace' (the
-- user's other tokens are void), seconds until it expires (0: never), fields of the new user.
-- Returns the token's times, or nothing when a new user is there already or another is not.
local name, digest, mode, life_s = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if (redis.call('EXISTS', user_key(name)) == 1) == (mode == 'new') then return false end
if mode == 'new' then add_user(name, unpack(ARGV, 5)) end
local tokens = redis.call('HGETALL', tokens_of(name))
for i = 1, #tokens, 2 do
  local ends = tonumber(string.match(tokens[i + 1], ' (%S+)$'))
  if mode == 'replace' or (ends > 0 and ends < NOW) then
    redis.call('HDEL', tokens_of(name), tokens[i])
    redis.call('HDEL', TOKENS, tokens[i])
  end
end
return add_token(name, digest, life_s)
