-- Changes fields of a user; an empty value removes the field. The crops kept of one who is disabled, or keeps none any
-- more, are deleted. ARGV: user, names and values... Returns 0 without the user.
local key = user_key(ARGV[1])
if redis.call('EXISTS', key) == 0 then return 0 end
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', key, ARGV[i]) else redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
if redis.call('HGET', key, 'disabled') == 'true' or redis.call('HGET', key, 'keep') == 'false' then
  forget_kept(ARGV[1])
end
return 1
