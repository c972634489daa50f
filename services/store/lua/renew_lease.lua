-- Keeps a lease, and says whether work waits without a wake-up. ARGV: chip, fence, lease_ms, status (JSON).
local chip, fence, lease_ms, status = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if lost_lease(chip, fence) then return LOST end
redis.call('PEXPIRE', chip_key(chip, 'lease'), lease_ms)
redis.call('HSET', chip_key(chip, 'lease'), 'status', status)
local work = redis.call('HLEN', WAITING) > 0 or redis.call('SCARD', LONG) > 0
return work and 1 or 0
