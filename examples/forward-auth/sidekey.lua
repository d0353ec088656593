-- Asks Sidekey whether a request may pass (forward-auth). It needs nothing but HAProxy's own HTTP client.

local ADDRESS = "http://127.0.0.1:8080/2fa/authz/"
-- What Sidekey looks at, besides what it is told of the request.
local ASKED_WITH = { "authorization", "cookie", "accept", "sec-fetch-mode", "x-requested-with" }
-- What the application is told. Every one is replaced, so that none is a client's own.
local TOLD = { "remote-user", "remote-app", "remote-2fa-method", "remote-2fa-at" }
-- What the client is told when its request does not pass.
local ANSWERED_WITH = { "content-type", "cache-control", "location", "www-authenticate" }

-- HAProxy counts the values of a header from 0.
local function first(headers, name)
  return headers and headers[name] and headers[name][0]
end

local function ask(txn)
  local headers = {
    ["x-forwarded-method"] = { txn.f:method() },
    ["x-forwarded-uri"] = { txn.f:pathq() },
    ["x-forwarded-for"] = { txn.f:src() },
  }
  local of_request = txn.http:req_get_headers()
  headers["x-forwarded-host"] = { first(of_request, "host") }
  for _, name in ipairs(ASKED_WITH) do
    local values = {}
    for _, value in pairs(of_request[name] or {}) do
      table.insert(values, value)
    end
    if #values > 0 then
      headers[name] = values
    end
  end
  return core.httpclient():get({ url = ADDRESS, headers = headers, timeout = 5000 })
end

local function second_factor(txn)
  local answer = ask(txn)
  if answer and answer.status == 200 then
    for _, name in ipairs(TOLD) do
      txn.http:req_set_header(name, first(answer.headers, name) or "")
    end
    return
  end
  -- Without an answer nobody passes.
  local status = answer and answer.status or 0
  local reply = txn:reply({ status = status >= 300 and status or 503 })
  for _, name in ipairs(ANSWERED_WITH) do
    local value = answer and first(answer.headers, name)
    if value then
      reply:add_header(name, value)
    end
  end
  reply:set_body(answer and answer.body or "")
  txn:done(reply)
end

core.register_action("second_factor", { "http-req" }, second_factor, 0)
