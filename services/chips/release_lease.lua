-- Gives a lease back. ARGV: chip, fence.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
redis.call('DEL', chip_key(chip, 'lease'))
redis.call('DEL', chip_key(chip, 'wakeup'), chip_key(chip, 'bell'))
return 1
