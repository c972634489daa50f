-- Keeps a lease, and says whether work waits. ARGV: chip, fence, lease_ms, holder (JSON), status (JSON).
local chip, fence, lease_ms, holder, status = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if lost_lease(chip, fence) then return LOST end
local key = chip_key(chip, 'lease')
local had_lapsed = redis.call('HSETNX', key, 'since', NOW_JSON) == 1
redis.call('HSET', key, 'holder', holder, 'status', status)
redis.call('PEXPIRE', key, lease_ms)
local identifier = cjson.decode(status).identifier
if identifier then redis.call('HSET', IDENTIFIERS, chip, identifier) end
-- A lane without waiting crops has claimed ones, perhaps of a chip whose worker died.
local work = redis.call('SCARD', LANES) + redis.call('SCARD', LONG) + redis.call('HLEN', operations_key(chip)) > 0
if had_lapsed and work then ring_bell(chip) end -- work recorded meanwhile did not
return work and 1 or 0
