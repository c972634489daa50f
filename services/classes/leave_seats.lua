-- Takes the seats of accounts, which are deleted from now on: they are disabled and their tokens void. ARGV: code,
-- accounts... Returns how many had a seat.
local code, left = ARGV[1], 0
for i = 2, #ARGV do
  if redis.call('SREM', seats_of(code), ARGV[i]) == 1 then
    redis.call('HSET', leaving_of(code), ARGV[i], NOW_JSON)
    redis.call('HSET', user_key(ARGV[i]), 'disabled', 'true')
    revoke_tokens(ARGV[i], '')
    left = left + 1
  end
end
return left
