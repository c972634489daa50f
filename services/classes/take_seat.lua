-- Makes the account of a new pupil. ARGV: code, account, digest of its token, seconds until that expires, fields of the
-- account... Returns 'taken', or why not: 'missing', 'ended', 'full' or 'named'.
local code, account = ARGV[1], ARGV[2]
local seats, ends, deleting = unpack(redis.call('HMGET', class_key(code), 'seats', 'until', 'deleting'))
if not seats then return 'missing' end
if tonumber(ends) <= NOW or deleting == 'true' then return 'ended' end
if redis.call('EXISTS', user_key(account)) == 1 then return 'named' end
if redis.call('SCARD', seats_of(code)) >= tonumber(seats) then return 'full' end
redis.call('SADD', seats_of(code), account)
add_user(account, unpack(ARGV, 5))
add_token(account, ARGV[3], tonumber(ARGV[4]))
return 'taken'
