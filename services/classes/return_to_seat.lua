-- Gives a pupil who lost the session a new token in exchange for a code; the tokens from before are void, and so is the
-- code. ARGV: code of the class, code of the return, digest of the token, seconds until it expires.
-- Returns the account, or nothing for a code that is none.
local key = return_key(ARGV[1], ARGV[2])
local account = redis.call('GET', key)
if not account or redis.call('SISMEMBER', seats_of(ARGV[1]), account) == 0 then return false end
redis.call('DEL', key)
revoke_tokens(account, '')
add_token(account, ARGV[3], tonumber(ARGV[4]))
return account
