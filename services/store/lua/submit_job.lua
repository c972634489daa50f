-- Records a long job. ARGV: id, idempotency key, digest, keep_s, most unfinished jobs, fields...
local id, key, digest, keep_s, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local before = seen_before(key, digest)
if before then return before end
if redis.call('SCARD', LONG) >= most then return {'full'} end
remember(key, digest, id, keep_s)
create(id, {unpack(ARGV, 6)}, '{"type":"state","state":"queued"}')
redis.call('SADD', LONG, id)
redis.call('INCR', LONG_REVISION)
return {'new', id, ring()}
