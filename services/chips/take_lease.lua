-- Takes a chip's lease. ARGV: chip, lease_ms, holder (JSON), holder known to be dead ('' if none).
-- Returns the new fencing number, or the present holder.
local chip, lease_ms, holder, dead = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = chip_key(chip, 'lease')
local held = redis.call('HGET', key, 'holder')
if held and held ~= dead then return {'held', held} end
local fence = redis.call('INCR', chip_key(chip, 'fence'))
redis.call('DEL', key, chip_key(chip, 'bell'), chip_key(chip, 'idle')) -- crops given with the bell are recovered
redis.call('HSET', key, 'holder', holder, 'since', NOW_JSON)
redis.call('PEXPIRE', key, lease_ms)
redis.call('SADD', CHIPS, chip)
return {'taken', fence}
