-- What there is to do, and that this turn has seen it. ARGV: chip, fence.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
return look(chip)
