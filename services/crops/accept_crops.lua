-- Accepts requests for crops, each whole or not at all. ARGV: reply stream, most waiting crops, seconds that an
-- idempotency key is kept, and a MessagePack list of
-- {id, lane, whether a process waits for the answer, deadline_ms, repeats, most waiting crops of its user, most chip
-- seconds of its user in a day ('' for no limit), idempotency key, digest, fields of its record (none: no record yet),
-- parts {count, crops, count, crops, ...}, which extras are asked for (a sum, 0 for none), where they are kept for
-- correction: seconds, most kept crops of its user (false otherwise), and where some are sampled: their spans}.
-- Returns the chips to wake, and of each request {'new', id, its last entry}, {'same', id of the job before},
-- {'conflict'}, {'full'} or {'quota', name, used, seconds to wait}.
local reply_to, most, keep_s, requests = ARGV[1], tonumber(ARGV[2]), ARGV[3], cmsgpack.unpack(ARGV[4])
local waiting, of = waiting_crops()

local function accept(request)
  local id, lane, waits, deadline_ms, repeats, most_own, most_s, key, digest, fields, parts = unpack(request)
  local extras, keep_answer_s, most_kept, trace = request[12], request[13], request[14], request[15]
  -- Sent again because the answer was lost with the connection: the parts are in their lane already, or answered.
  if #fields > 0 and redis.call('EXISTS', job_key(id)) == 1 then return {'new', id, ''} end
  local before = seen_before(key, digest)
  if before then return before end
  local user, crops = user_of(lane), 0
  for i = 1, #parts, 2 do crops = crops + parts[i] end
  local own = of[user] or 0
  if own + crops > (tonumber(most_own) or math.huge) then return {'quota', 'max_waiting_crops', own} end
  if has_spent(user, most_s) then return spent(user) end
  if waiting + crops > most then return {'full'} end
  if keep_answer_s and crops > (tonumber(most_kept) or math.huge) then return {'quota', 'kept_crops', 0} end
  waiting, of[user] = waiting + crops, own + crops
  remember(key, digest, id, keep_s)
  local stream = waits and reply_to or ''
  if #fields > 0 then
    create(id, fields, '{"type":"state","state":"queued"}')
    if waits then redis.call('HSET', job_key(id), 'reply_to', reply_to) end
    if keep_answer_s then
      redis.call('HSET', job_key(id), 'keep_answer_s', keep_answer_s)
      keep_crops(id, user, crops, parts, keep_answer_s, most_kept)
    end
  end
  local entry
  for i = 1, #parts, 2 do
    entry = add_part(lane, id, (i - 1) / 2, parts[i], stream, deadline_ms, parts[i + 1], repeats, extras, trace)
  end
  return {'new', id, entry}
end

local outcomes = {}
for n, request in ipairs(requests) do outcomes[n] = accept(request) end
return {ring(), outcomes}
