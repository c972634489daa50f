-- Withdraws an open correction. ARGV: user, id. Returns 'done', 'missing', or the version of a data set that it is closed
-- into.
local user, id = ARGV[1], ARGV[2]
local key = correction_key(id)
local owner, counts_as, closed = unpack(redis.call('HMGET', key, 'user', 'counts_as', 'closed'))
if owner ~= user then return 'missing' end
if closed then return closed end
count_correction(counts_as, 'withdrawn')
redis.call('DEL', key)
redis.call('ZREM', corrections_of(user), id)
return 'done'
