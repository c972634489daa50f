-- Keeps a point of a series. ARGV: chip, fence, series, most points, names and numbers... The series is one of the chip,
-- or 'trial <model>@<version> <candidate>', which all chips share and which is forgotten a month after its last point.
local chip, fence, series, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if lost_lease(chip, fence) then return LOST end
local reference, candidate = string.match(series, '^trial (%S+) (%S+)$')
local stream = reference and trial_key(reference, candidate) or chip_key(chip, series)
redis.call('XADD', stream, 'MAXLEN', '~', most, '*', unpack(ARGV, 5))
if reference then redis.call('EXPIRE', stream, 30 * 86400) end
return 1
