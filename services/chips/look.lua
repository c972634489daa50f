-- What there is to do, and that this turn has seen it. ARGV: chip, fence, reference and most crops to claim with it.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
return look(chip, ARGV[3], ARGV[4])
