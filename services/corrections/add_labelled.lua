-- Keeps labelled crops as open corrections, all or none. ARGV: user, keep_s, most open corrections of the user ('' for no
-- limit), a MessagePack list of {id, crop, fields}. Returns {'done'} or {'quota', name, used}.
local user, keep_s, most, crops = ARGV[1], ARGV[2], tonumber(ARGV[3]) or math.huge, cmsgpack.unpack(ARGV[4])
local open, new = open_corrections(user), {}
for _, c in ipairs(crops) do
  if not redis.call('ZSCORE', corrections_of(user), c[1]) then new[c[1]] = true end
end
local wanted = open
for _ in pairs(new) do wanted = wanted + 1 end
if wanted > most then return {'quota', 'open_corrections', open} end
for number, c in ipairs(crops) do open_correction(c[1], user, c[2], keep_s, c[3], number) end
return {'done'}
