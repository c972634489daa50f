-- Takes in all parts of a request, or none. ARGV: id, lane, reply-to, deadline_ms, idempotency key, digest, keep_s,
-- most waiting crops, crops, repeats, most waiting crops of the user, most chip seconds of the user in a day ('' for no
-- limit), number of record fields (0: no record yet), fields..., then count and bytes of each part.
local id, lane, reply_to, deadline_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key, digest, keep_s = ARGV[5], ARGV[6], ARGV[7]
local most, crops, repeats, n_fields = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], tonumber(ARGV[13])
-- Sent again because the answer was lost with the connection: the parts are in their lane already, or answered.
if n_fields > 0 and redis.call('EXISTS', job_key(id)) == 1 then return {'new', id, ring(), ''} end
local before = seen_before(key, digest)
if before then return before end
local user = user_of(lane)
local waiting, of = waiting_crops()
local own = of[user] or 0
if own + crops > (tonumber(ARGV[11]) or math.huge) then return {'quota', 'max_waiting_crops', own} end
if has_spent(user, ARGV[12]) then return spent(user) end
if waiting + crops > most then return {'full'} end
remember(key, digest, id, keep_s)
if n_fields > 0 then
  create(id, {unpack(ARGV, 14, 13 + n_fields)}, '{"type":"state","state":"queued"}')
  if reply_to ~= '' then redis.call('HSET', job_key(id), 'reply_to', reply_to) end
end
local part, entry = 0, nil
for i = 14 + n_fields, #ARGV, 2 do
  entry = add_part(lane, id, part, ARGV[i], reply_to, deadline_ms, ARGV[i + 1], repeats)
  part = part + 1
end
return {'new', id, ring(), entry}
