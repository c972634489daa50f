-- Keeps a point of one of a chip's series. ARGV: chip, fence, series, most points, names and numbers...
local chip, fence, series, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if lost_lease(chip, fence) then return LOST end
redis.call('XADD', chip_key(chip, series), 'MAXLEN', '~', most, '*', unpack(ARGV, 5))
return 1
