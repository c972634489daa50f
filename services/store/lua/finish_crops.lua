-- Stores and sends the answers of one batch. ARGV: chip, fence, half_life_s, keep_s, then one MessagePack text:
-- {entries = {{lane, entry, id, part, answer, final state or '', error JSON}}, replies = {{stream, payload}},
--  charges = {{user, seconds}}}.
local chip, fence, half_life_s, keep_s = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if lost_lease(chip, fence) then return LOST end
local batch = cmsgpack.unpack(ARGV[5])
for _, e in ipairs(batch.entries) do
  local lane, entry, id, part, answer, ended, problem = unpack(e)
  local key = job_key(id)
  local state = redis.call('HGET', key, 'state')
  if state and not is_final(state) then
    if ended ~= '' then
      change(id, {'state', '"' .. ended .. '"', 'error', problem},
             '{"type":"state","state":"' .. ended .. '"}', keep_s)
    else
      start_if_queued(id)
      redis.call('HSET', key .. ':results', part, answer)
      local done = redis.call('HLEN', key .. ':results')
      local parts = tonumber(redis.call('HGET', key, 'parts'))
      if done >= parts then
        change(id, {'state', '"succeeded"', 'progress', '1.0'}, '{"type":"state","state":"succeeded"}', keep_s)
      else
        local progress = string.format('%.4f', done / parts)
        redis.call('HSET', key, 'progress', progress)
        announce(id, '{"type":"progress","progress":' .. progress .. '}')
      end
    end
  end
  forget_entry(lane, entry)
end
for _, reply in ipairs(batch.replies) do send_reply(reply[1], reply[2]) end
for _, c in ipairs(batch.charges) do charge(c[1], 'classification', c[2], half_life_s) end
return 1
