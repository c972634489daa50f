-- Ends a turn: 1 when work is left and the next wake-up is to be sent, 0 when the chip may rest. ARGV: chip, fence.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
redis.call('DEL', chip_key(chip, 'idle'))
local work = redis.call('LLEN', chip_key(chip, 'bell')) + redis.call('HLEN', WAITING) + redis.call('SCARD', LONG)
if work + redis.call('HLEN', operations_key(chip)) > 0 then
  redis.call('SET', chip_key(chip, 'wakeup'), '1', 'PX', WAKEUP_MS)
  return 1
end
redis.call('DEL', chip_key(chip, 'wakeup'))
return 0
