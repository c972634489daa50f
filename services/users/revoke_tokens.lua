-- Makes tokens of a user void. ARGV: user, the beginning of a digest ('' for all). Returns how many, -1 without the user.
if redis.call('EXISTS', user_key(ARGV[1])) == 0 then return -1 end
return revoke_tokens(ARGV[1], ARGV[2])
