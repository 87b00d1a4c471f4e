-- Shows discv5 in Wireshark and tshark: who speaks to whom, WHOAREYOUs, handshakes, and messages with what they ask and answer.
-- Packets are unmasked and opened with the file that `beacon-p2pd --keylog FILE` writes; docs/keylog.md says how, and what the lines are.
--
--   tshark -X lua_script:docs/wireshark/discv5.lua -o discv5.keylog:FILE -r CAPTURE -V
--
-- A header is masked with the id of the node that it goes to, so a packet is told by trying the ids of the key log. Tags are not
-- checked: of several sessions of two nodes the one is used whose plaintext is a message of exactly its length.
-- Spec: devp2p discv5-wire.md "Packet Encoding", "Protocol Messages"

local discv5 = Proto("discv5", "Node Discovery Protocol v5")
local f = {
    packet = ProtoField.string("discv5.packet", "Packet"),
    src = ProtoField.string("discv5.src", "From node"),
    dst = ProtoField.string("discv5.dst", "To node"),
    message = ProtoField.string("discv5.message", "Message"),
    request = ProtoField.string("discv5.request", "Request id"),
    detail = ProtoField.string("discv5.detail", "Holds"),
    note = ProtoField.string("discv5.note", "Note"),
}
discv5.fields = (function() local all = {} for _, field in pairs(f) do all[#all + 1] = field end return all end)()
discv5.prefs.keylog = Pref.string("Key log", "", "The file that beacon-p2pd --keylog writes")

local PACKET_MIN, PACKET_MAX = 63, 1280
local STATIC = 23 -- bytes of the header before authdata

local bits = bit32 or load([[return { bxor = function(a, b) return a ~ b end }]])()
local bxor = bits.bxor

local function be(s, i, n)
    local v = 0
    for k = i, i + n - 1 do v = v * 256 + s:byte(k) end
    return v
end

local function hex(s) return (s:gsub(".", function(c) return string.format("%02x", c:byte()) end)) end
local function unhex(s) return (s:gsub("..", function(h) return string.char(tonumber(h, 16)) end)) end

---- AES-128 (FIPS 197), one way: counter mode needs no other ------------------------------------------------------------------

local function double(b) return b < 128 and 2 * b or bxor(2 * b, 0x11b) end

local SBOX = (function() -- p goes through the field as powers of 3, q is its inverse
    local box, p, q = { [0] = 0x63 }, 1, 1
    local function rot(v, n) return v * 2 ^ n % 256 + math.floor(v / 2 ^ (8 - n)) end
    repeat
        p = bxor(p, double(p))
        for _, n in ipairs({ 1, 2, 4 }) do q = bxor(q, q * 2 ^ n % 256) end
        q = q >= 128 and bxor(q, 9) or q
        local x = q
        for n = 1, 4 do x = bxor(x, rot(q, n)) end
        box[math.floor(p)] = bxor(x, 0x63)
    until p == 1
    return box
end)()

local schedules = {} -- by key

local function schedule(key)
    if schedules[key] then return schedules[key] end
    local w, round = { key:byte(1, 16) }, 1
    for i = 17, 176, 4 do
        local t = { w[i - 4], w[i - 3], w[i - 2], w[i - 1] }
        if (i - 1) % 16 == 0 then
            t = { bxor(SBOX[t[2]], round), SBOX[t[3]], SBOX[t[4]], SBOX[t[1]] }
            round = double(round)
        end
        for k = 1, 4 do w[i + k - 1] = bxor(w[i + k - 17], t[k]) end
    end
    schedules[key] = w
    return w
end

local function encrypt_block(w, block)
    local s = {}
    for i = 1, 16 do s[i] = bxor(block[i], w[i]) end
    for round = 1, 10 do
        local t = {}
        for i = 0, 15 do t[i + 1] = SBOX[s[(i + 4 * (i % 4)) % 16 + 1]] end -- with the rows shifted
        if round < 10 then
            for c = 1, 13, 4 do
                local a, b, d, e = t[c], t[c + 1], t[c + 2], t[c + 3]
                local all = bxor(bxor(a, b), bxor(d, e))
                t[c] = bxor(bxor(a, all), double(bxor(a, b)))
                t[c + 1] = bxor(bxor(b, all), double(bxor(b, d)))
                t[c + 2] = bxor(bxor(d, all), double(bxor(d, e)))
                t[c + 3] = bxor(bxor(e, all), double(bxor(e, a)))
            end
        end
        for i = 1, 16 do s[i] = bxor(t[i], w[16 * round + i]) end
    end
    return s
end

-- Counter mode from the 16 bytes `iv` on; for AES-GCM they are nonce and 2.
local function ctr(key, iv, data)
    local w, counter, out = schedule(key), { iv:byte(1, 16) }, {}
    for at = 1, #data, 16 do
        local pad, bytes = encrypt_block(w, counter), {}
        for i = 0, math.min(15, #data - at) do bytes[i + 1] = bxor(data:byte(at + i), pad[i + 1]) end
        out[#out + 1] = string.char(table.unpack(bytes))
        for i = 16, 1, -1 do
            counter[i] = (counter[i] + 1) % 256
            if counter[i] ~= 0 then break end
        end
    end
    return table.concat(out)
end

---- the key log ---------------------------------------------------------------------------------------------------------------

local ids, sessions, keylog_read -- node ids; by "from to" a list of keys, the latest first

local function learn(from, to, key)
    local name = from .. to
    sessions[name] = sessions[name] or {}
    table.insert(sessions[name], 1, unhex(key))
    ids[from], ids[to] = true, true
end

local function read_keylog()
    ids, sessions, keylog_read = {}, {}, discv5.prefs.keylog
    local file = keylog_read ~= "" and io.open(keylog_read, "r")
    if not file then return end
    for line in file:lines() do
        local a, b, forth, back = line:match("^DISCV5 (%x+) (%x+) (%x+) (%x+)$")
        if a and #a == 64 and #b == 64 and #forth == 32 and #back == 32 then
            learn(a, b, forth)
            learn(b, a, back)
        end
    end
    file:close()
end

---- a packet ------------------------------------------------------------------------------------------------------------------

local FLAGS = { [0] = "message", [1] = "WHOAREYOU", [2] = "handshake" }

-- For the node `to`? Then flag, nonce, authdata and the length of all that is not message.
local function unmask(raw, to)
    local key = unhex(to:sub(1, 32))
    local head = ctr(key, raw:sub(1, 16), raw:sub(17, 16 + STATIC))
    if head:sub(1, 6) ~= "discv5" or be(head, 7, 2) ~= 1 or not FLAGS[head:byte(9)] then return nil end
    local size = be(head, 22, 2)
    if 16 + STATIC + size > #raw then return nil end
    local whole = ctr(key, raw:sub(1, 16), raw:sub(17, 16 + STATIC + size))
    return { flag = head:byte(9), nonce = head:sub(10, 21), authdata = whole:sub(STATIC + 1), size = 16 + STATIC + size, to = to }
end

-- One RLP item at s[at]: its bytes, position behind it, whether it is a list; nil: it does not fit.
local function rlp(s, at)
    local b = s:byte(at)
    if not b then return nil end
    if b < 0x80 then return s:sub(at, at), at + 1, false end
    local list = b >= 0xc0
    local n, from = b - (list and 0xc0 or 0x80), at + 1
    if n > 55 then
        local width = n - 55
        if width > 2 or at + width > #s then return nil end
        n, from = be(s, at + 1, width), at + 1 + width
    end
    if from + n - 1 > #s then return nil end
    return s:sub(from, from + n - 1), from + n, list
end

local function items(body)
    local all, at = {}, 1
    while at <= #body do
        local v, behind = rlp(body, at)
        if not v then return nil end
        all[#all + 1], at = v, behind
    end
    return all
end

local function number(s) return #s <= 6 and string.format("%d", be(s, 1, #s)) or hex(s) end

local function list_of(s, each)
    local all = {}
    for i, v in ipairs(items(s) or {}) do all[i] = each(v) end
    return table.concat(all, " ")
end

local function ip(s)
    return #s == 4 and table.concat({ s:byte(1, 4) }, ".") or hex(s)
end

-- By type: name, items of the list, what it holds. Spec: discv5-wire.md "Protocol Messages"
local MESSAGES = {
    { "PING", 2, function(m) return "record " .. number(m[2]) end },
    { "PONG", 4, function(m) return "record " .. number(m[2]) .. ", seen at " .. ip(m[3]) .. " port " .. number(m[4]) end },
    { "FINDNODE", 2, function(m) return "distances " .. list_of(m[2], number) end },
    { "NODES", 3, function(m) return #(items(m[3]) or {}) .. " records, one of " .. number(m[2]) .. " answers" end },
    { "TALKREQ", 3, function(m) return "protocol " .. m[2]:gsub("[^%g ]", "?") .. ", " .. #m[3] .. " bytes" end },
    { "TALKRESP", 2, function(m) return #m[2] .. " bytes" end },
}

local function message(plain)
    local kind = MESSAGES[plain:byte(1) or 0]
    local body, behind, list = rlp(plain, 2)
    if not kind or not list or behind ~= #plain + 1 then return nil end
    local all = items(body)
    return all and #all == kind[2] and { name = kind[1], request = hex(all[1]), detail = kind[3](all) } or nil
end

local function open_message(raw, p)
    local sealed = raw:sub(p.size + 1, #raw - 16)
    for _, key in ipairs(sessions[p.from .. p.to] or {}) do
        local m = message(ctr(key, p.nonce .. "\0\0\0\2", sealed))
        if m then return m end
    end
end

local function read_packet(raw)
    for to in pairs(ids) do
        local p = unmask(raw, to)
        if p then
            if p.flag ~= 1 and #p.authdata >= 32 then
                p.from = hex(p.authdata:sub(1, 32))
                p.message = open_message(raw, p)
            end
            return p
        end
    end
end

---- showing -------------------------------------------------------------------------------------------------------------------

local calls = {} -- by packet: what it was, so that Wireshark may ask again

local function packet_of(pinfo, raw)
    local name = pinfo.number .. raw:sub(1, 16)
    if calls[name] and keylog_read == discv5.prefs.keylog then return calls[name] end
    if not ids or keylog_read ~= discv5.prefs.keylog then read_keylog() end
    local p = read_packet(raw)
    if not p or (p.from and not p.message) then -- lines are written while a capture runs
        read_keylog()
        p = read_packet(raw)
    end
    calls[name] = p
    return p
end

discv5:register_heuristic("udp", function(tvb, pinfo, tree)
    if tvb:len() < PACKET_MIN or tvb:len() > PACKET_MAX then return false end
    local p = packet_of(pinfo, tvb:raw())
    if not p then return false end
    local info, branch = FLAGS[p.flag], tree:add(discv5, tvb(), "discv5, " .. tvb:len() .. " bytes")
    branch:add(f.packet, tvb(0, p.size), info)
    branch:add(f.dst, tvb(0, p.size), p.to)
    if p.from then branch:add(f.src, tvb(0, p.size), p.from) end
    if p.message then
        local range = tvb(p.size)
        branch:add(f.message, range, p.message.name)
        branch:add(f.request, range, p.message.request)
        branch:add(f.detail, range, p.message.detail)
        info = info .. ": " .. p.message.name .. ", " .. p.message.detail
    elseif p.from then -- the first packet to a node is random on purpose
        branch:add(f.note, tvb(p.size), "no key of the key log opens it")
    end
    pinfo.cols.protocol, pinfo.cols.info = "discv5", info
    return true
end)
