-- Makes tokens of a user void. ARGV: user, the beginning of a digest ('' for all). Returns how many, -1 without the user.
local name, id = ARGV[1], ARGV[2]
local key = user_key(name)
if redis.call('EXISTS', key) == 0 then return -1 end
local revoked = 0
for _, digest in ipairs(redis.call('HKEYS', tokens_of(name))) do
  if string.sub(digest, 1, #id) == id then
    redis.call('HDEL', tokens_of(name), digest)
    redis.call('HDEL', TOKENS, digest)
    revoked = revoked + 1
  end
end
return revoked
