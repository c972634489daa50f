-- Makes a record for crops accepted without one, unless their answer is already on its way.
-- ARGV: id, lane, entry, which crops of the entry they are ('first count'), fields...
local id, lane, entry, span = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if #redis.call('XRANGE', lane_key(lane), entry, entry) == 0 then return 0 end
redis.call('HSET', late_key(lane, entry), id, span)
create(id, {unpack(ARGV, 5)}, '{"type":"state","state":"queued"}')
return 1
