-- Makes tokens of a user void. ARGV: user, the beginning of a digest ('' for all). Returns how many, -1 without the user.
local name, id = ARGV[1], ARGV[2]
local key = 'hx:user:' .. name
if redis.call('EXISTS', key) == 0 then return -1 end
local revoked = 0
for _, digest in ipairs(redis.call('HKEYS', key .. ':tokens')) do
  if string.sub(digest, 1, #id) == id then
    redis.call('HDEL', key .. ':tokens', digest)
    redis.call('HDEL', 'hx:tokens', digest)
    revoked = revoked + 1
  end
end
return revoked
