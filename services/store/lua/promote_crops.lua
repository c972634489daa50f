-- Makes a record for crops accepted without one, unless their answer is already on its way.
-- ARGV: id, lane, entry, fields...
local id, lane, entry = ARGV[1], ARGV[2], ARGV[3]
if #redis.call('XRANGE', lane_key(lane), entry, entry) == 0 then return 0 end
create(id, {unpack(ARGV, 4)}, '{"type":"state","state":"queued"}')
return 1
