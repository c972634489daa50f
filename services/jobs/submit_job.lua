-- Records a long job. ARGV: id, user, idempotency key, digest, keep_s, most unfinished jobs, most of this user, most
-- chip seconds of this user in a day ('' for no limit), half_life_s, credit_s, fields...
local id, user, key, digest, keep_s, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
-- Sent again because the answer was lost with the connection: it is recorded already, and may have begun.
if redis.call('EXISTS', job_key(id)) == 1 then return {'new', id, ring()} end
local before = seen_before(key, digest)
if before then return before end
local own = redis.call('SCARD', long_of(user))
if own >= (tonumber(ARGV[7]) or math.huge) then return {'quota', 'max_queued_jobs', own} end
if has_spent(user, ARGV[8]) then return spent(user) end
if redis.call('SCARD', LONG) >= most then return {'full'} end
remember(key, digest, id, keep_s)
create(id, {unpack(ARGV, 11)}, '{"type":"state","state":"queued"}')
let_in(id, tonumber(ARGV[9]), tonumber(ARGV[10]))
redis.call('SADD', LONG, id)
redis.call('SADD', long_of(user), id)
redis.call('INCR', LONG_REVISION)
return {'new', id, ring()}
