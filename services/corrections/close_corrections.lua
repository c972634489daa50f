-- Marks corrections as closed and forgets their crops, those that were not changed since they were read. ARGV: user,
-- version of the data set that has them, then id and time of each. Returns how many were closed.
local user, version, closed = ARGV[1], ARGV[2], 0
for i = 3, #ARGV, 2 do
  local key = correction_key(ARGV[i])
  if redis.call('HGET', key, 'at') == ARGV[i + 1] then
    redis.call('HSET', key, 'closed', version)
    redis.call('HDEL', key, 'crop')
    redis.call('ZREM', corrections_of(user), ARGV[i])
    note_trace(user, key)
    closed = closed + 1
  end
end
return closed
