-- Keeps a chip's fixed pattern in the place of the one before. ARGV: chip, fence, JSON text.
if lost_lease(ARGV[1], ARGV[2]) then return LOST end
redis.call('SET', chip_key(ARGV[1], 'pattern'), ARGV[3])
return 1
