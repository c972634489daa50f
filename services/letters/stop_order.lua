-- Stops the order that waits or is carried out, if there is one.
if redis.call('EXISTS', CENTRE_LEASE) == 0 then return false end
if redis.call('HGET', CENTRE_ORDER, 'state') == 'waiting' then
  redis.call('HSET', CENTRE_ORDER, 'state', 'stopped')
  redis.call('DEL', CENTRE_LEASE)
else
  redis.call('HSET', CENTRE_ORDER, 'state', 'stopping')
end
return true
