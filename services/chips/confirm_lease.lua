-- Refuses a worker that no longer holds its lease. ARGV: chip, fence.
if lost_lease(ARGV[1], ARGV[2]) then return LOST end
return 1
