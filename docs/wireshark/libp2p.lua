-- Shows libp2p over TCP in Wireshark and tshark: multistream, Noise, yamux, mplex, identify, ping, gossipsub and Ethereum's requests.
-- Noise is opened with the file that `beacon-p2pd --keylog FILE` writes; docs/keylog.md says how, and what the lines are.
--
--   tshark -X lua_script:docs/wireshark/libp2p.lua -o libp2p.keylog:FILE -r CAPTURE -V
--
-- A capture is read in order, once: each record that comes first changes what is known of its connection, and what it showed is kept
-- for the moment when Wireshark asks again. Tags are not checked: a record that is not what it seems shows as nonsense.

local libp2p = Proto("libp2p", "libp2p")
local f = {
    step = ProtoField.string("libp2p.step", "Step"),
    proposal = ProtoField.string("libp2p.multistream", "multistream"),
    peer = ProtoField.string("libp2p.noise.peer", "Identity"),
    muxers = ProtoField.string("libp2p.noise.muxers", "Muxers offered early"),
    plain = ProtoField.uint32("libp2p.noise.plain", "Plaintext bytes"),
    frame = ProtoField.string("libp2p.mux", "Frame"),
    stream = ProtoField.string("libp2p.stream", "Stream"), -- mplex ids have 60 bits
    protocol = ProtoField.string("libp2p.protocol", "Protocol of the stream"),
    agent = ProtoField.string("libp2p.identify.agent", "Agent"),
    topic = ProtoField.string("libp2p.gossipsub.topic", "Topic"),
    control = ProtoField.string("libp2p.gossipsub.control", "Control"),
    rpc = ProtoField.string("libp2p.gossipsub.rpc", "gossipsub"),
    method = ProtoField.string("libp2p.reqresp.method", "Method"),
    reqresp = ProtoField.string("libp2p.reqresp", "Request or answer"),
    note = ProtoField.string("libp2p.note", "Note"),
}
libp2p.fields = (function() local all = {} for _, field in pairs(f) do all[#all + 1] = field end return all end)()
libp2p.prefs.keylog = Pref.string("Key log", "", "The file that beacon-p2pd --keylog writes")

local HEADER, NOISE_ID = "/multistream/1.0.0", "/noise"
local MUXERS = { ["/yamux/1.0.0"] = true, ["/mplex/6.7.0"] = true }
local BUFFER_MAX = 16 * 1024 * 1024 -- of one stream's unparsed bytes

---- words of 32 bits: Lua 5.2 has bit32, later ones have operators -----------------------------------------------------------

local bits = bit32 or load([[return {
    bxor = function(a, b) return (a ~ b) & 0xffffffff end, band = function(a, b) return a & b end,
    rshift = function(a, n) return a >> n end,
    lrotate = function(a, n) return ((a << n) | (a >> (32 - n))) & 0xffffffff end }]])()
local bxor, band, rshift, rotl = bits.bxor, bits.band, bits.rshift, bits.lrotate

local function le32(s, i)
    local a, b, c, d = s:byte(i, i + 3)
    return a + b * 256 + c * 65536 + d * 16777216
end

local function be(s, i, n)
    local v = 0
    for k = i, i + n - 1 do v = v * 256 + s:byte(k) end
    return v
end

local function hex(s) return (s:gsub(".", function(c) return string.format("%02x", c:byte()) end)) end
local function unhex(s) return (s:gsub("..", function(h) return string.char(tonumber(h, 16)) end)) end

---- ChaCha20 (RFC 8439), without the tag --------------------------------------------------------------------------------------

local function quarter(x, a, b, c, d)
    x[a] = (x[a] + x[b]) % 4294967296; x[d] = rotl(bxor(x[d], x[a]), 16)
    x[c] = (x[c] + x[d]) % 4294967296; x[b] = rotl(bxor(x[b], x[c]), 12)
    x[a] = (x[a] + x[b]) % 4294967296; x[d] = rotl(bxor(x[d], x[a]), 8)
    x[c] = (x[c] + x[d]) % 4294967296; x[b] = rotl(bxor(x[b], x[c]), 7)
end

local function chacha_words(init)
    local x = { table.unpack(init) }
    for _ = 1, 10 do
        quarter(x, 1, 5, 9, 13); quarter(x, 2, 6, 10, 14); quarter(x, 3, 7, 11, 15); quarter(x, 4, 8, 12, 16)
        quarter(x, 1, 6, 11, 16); quarter(x, 2, 7, 12, 13); quarter(x, 3, 8, 9, 14); quarter(x, 4, 5, 10, 15)
    end
    for i = 1, 16 do x[i] = (x[i] + init[i]) % 4294967296 end
    return x
end

-- The ciphertext without its tag, opened with Noise's nonce of that number.
local function open(key, number, sealed)
    local init = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }
    for i = 0, 7 do init[5 + i] = le32(key, 1 + 4 * i) end
    init[14], init[15], init[16] = 0, number % 4294967296, math.floor(number / 4294967296)
    local out, n = {}, #sealed - 16
    for at = 1, n, 64 do
        init[13] = (at - 1) / 64 + 1 -- block 0 is the tag's
        local x = chacha_words(init)
        local bytes = {}
        for i = 0, math.min(63, n - at) do
            local word = x[math.floor(i / 4) + 1]
            bytes[#bytes + 1] = bxor(sealed:byte(at + i), band(rshift(word, 8 * (i % 4)), 255))
        end
        out[#out + 1] = string.char(table.unpack(bytes))
    end
    return table.concat(out)
end

---- the key log ---------------------------------------------------------------------------------------------------------------

local keys, keylog_read -- by the initiator's ephemeral key

local function read_keylog()
    keys, keylog_read = {}, libp2p.prefs.keylog
    local file = keylog_read ~= "" and io.open(keylog_read, "r")
    if not file then return end
    for line in file:lines() do
        local word = {}
        for w in line:gmatch("%S+") do word[#word + 1] = w end
        if word[1] == "LIBP2P_NOISE" and #word == 7 then
            keys[word[2]] = { ee = unhex(word[3]), es = unhex(word[4]), se = unhex(word[5]), forth = unhex(word[6]), back = unhex(word[7]) }
        end
    end
    file:close()
end

-- Lines are written while a capture runs, so a miss reads the file again.
local function keys_of(ephemeral)
    local name = hex(ephemeral)
    if not keys or keylog_read ~= libp2p.prefs.keylog or not keys[name] then read_keylog() end
    return keys[name]
end

---- small formats -------------------------------------------------------------------------------------------------------------

-- value, position behind it; nil: more bytes are needed
local function varint(s, at)
    local v, scale = 0, 1
    for i = at, math.min(#s, at + 9) do
        local b = s:byte(i)
        v, scale = v + (b % 128) * scale, scale * 128
        if b < 128 then return v, i + 1 end
    end
end

-- Calls each(number, value or bytes) for the fields of a protobuf; false: it is none.
local function pb(s, each)
    local at = 1
    while at <= #s do
        local head, behind = varint(s, at)
        if not head then return false end
        local wire = head % 8
        local value, after
        if wire == 0 then
            value, after = varint(s, behind)
        elseif wire == 2 then
            local n, from = varint(s, behind)
            if n and from + n - 1 <= #s then value, after = s:sub(from, from + n - 1), from + n end
        elseif wire == 1 then
            value, after = 0, behind + 8
        elseif wire == 5 then
            value, after = 0, behind + 4
        end
        if not value then return false end
        each(math.floor(head / 8), value)
        at = after
    end
    return true
end

local function base58(s)
    local letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    local digits = {}
    for i = 1, #s do
        local carry = s:byte(i)
        for k = 1, #digits do
            carry = carry + digits[k] * 256
            digits[k], carry = carry % 58, math.floor(carry / 58)
        end
        while carry > 0 do digits[#digits + 1], carry = carry % 58, math.floor(carry / 58) end
    end
    local out = s:match("^%z*"):gsub("%z", "1")
    for k = #digits, 1, -1 do out = out .. letters:sub(digits[k] + 1, digits[k] + 1) end
    return out
end

-- A peer id where the key is short enough to be one; larger keys would need SHA-256.
local function identity(key)
    if #key <= 42 then return base58(string.char(0, #key) .. key) end
    return "key " .. hex(key)
end

-- A multistream message at the front of s: its text, position behind it. nil: it is none; false: it may become one.
local function multistream(s)
    local n, from = varint(s, 1)
    if not n then return #s < 3 and false or nil end
    if n < 1 or n > 1024 then return nil end
    local text = s:sub(from, from + n - 1)
    if #text > 0 and text:sub(1, 1) ~= "/" and not ("na\nls\n"):find(text, 1, true) then return nil end
    if #text < n then return false end
    if text:sub(-1) ~= "\n" then return nil end
    return text:sub(1, -2), from + n
end

---- what streams carry: each parser takes what is whole from the front of d.buf, and adds items ------------------------------

local function item(items, field, text, short)
    items[#items + 1] = { field = field, text = text, short = short }
end

local function delimited(d, items, each)
    while true do
        local n, from = varint(d.buf, 1)
        if not n or #d.buf < from + n - 1 then return end
        each(d.buf:sub(from, from + n - 1), items)
        d.buf = d.buf:sub(from + n)
    end
end

local CONTROL = { "IHAVE", "IWANT", "GRAFT", "PRUNE", "IDONTWANT" }

local function gossip_control(bytes, items)
    pb(bytes, function(number, value)
        local kind, topic, ids = CONTROL[number], nil, 0
        if not kind then return end
        pb(value, function(k, v)
            if k == 1 and kind ~= "IWANT" and kind ~= "IDONTWANT" then topic = v elseif type(v) == "string" then ids = ids + 1 end
        end)
        item(items, f.control, kind .. (topic and " " .. topic or "") .. (ids > 0 and " " .. ids or ""), kind)
        if topic then item(items, f.topic, topic) end
    end)
end

local function gossip_rpc(bytes, items)
    item(items, f.rpc, #bytes .. " bytes", "gossip")
    pb(bytes, function(number, value)
        if type(value) ~= "string" then return end
        if number == 3 then return gossip_control(value, items) end
        local topic, size, subscribe = "?", nil, nil
        pb(value, function(k, v)
            if number == 1 then
                if k == 1 then subscribe = v elseif k == 2 then topic = v end
            elseif number == 2 then
                if k == 2 then size = #v elseif k == 4 then topic = v end
            end
        end)
        if number == 1 then
            item(items, f.control, (subscribe == 1 and "SUBSCRIBE " or "UNSUBSCRIBE ") .. topic, "subscribe")
        elseif number == 2 then
            item(items, f.control, "MESSAGE " .. topic .. ", " .. (size or 0) .. " bytes", "message")
        end
        item(items, f.topic, topic)
    end)
end

local SNAPPY = "\255\6\0\0sNaPpY"

-- The framed snappy of `n` bytes at s[at..]: position behind it; nil: more bytes are needed.
local function snappy_end(s, at, n)
    if s:sub(at, at + 9) ~= SNAPPY then return #s < at + 9 and nil or at end
    at = at + 10
    while n > 0 do
        if #s < at + 3 then return nil end
        local kind, size = s:byte(at), s:byte(at + 1) + s:byte(at + 2) * 256 + s:byte(at + 3) * 65536
        if #s < at + 3 + size then return nil end
        if kind == 0 then
            n = n - (varint(s, at + 8) or n)
        elseif kind == 1 then
            n = n - (size - 4)
        end
        at = at + 4 + size
    end
    return at
end

local function request(st, d, items)
    local n, from = varint(d.buf, 1)
    local behind = n and snappy_end(d.buf, from, n)
    if behind then
        item(items, f.method, st.method)
        item(items, f.reqresp, "request " .. st.method .. ": " .. n .. " bytes of SSZ, " .. behind - 1 .. " on the wire", st.method .. "?")
        d.buf = d.buf:sub(behind)
    end
    return behind
end

local CODES = { [0] = "success", "invalid request", "server error", "resource unavailable" }

local function answer(st, d, items)
    local code, at, context = d.buf:byte(1), 2, ""
    local n, from = varint(d.buf, at)
    if n and d.buf:sub(from, from + 9) ~= SNAPPY and #d.buf >= 20 then
        context, at = ", context " .. hex(d.buf:sub(2, 5)), 6
        n, from = varint(d.buf, at)
    end
    local behind = n and snappy_end(d.buf, from, n)
    if behind then
        local name = CODES[code] or tostring(code)
        item(items, f.method, st.method)
        item(items, f.reqresp, "answer " .. st.method .. ": " .. name .. context .. ", " .. n .. " bytes of SSZ, " .. behind - 1 .. " on the wire",
            st.method .. "!")
        d.buf = d.buf:sub(behind)
    end
    return behind
end

local function identify(bytes, items)
    local agent, protocols, addrs = "", 0, 0
    pb(bytes, function(number, value)
        if number == 6 then agent = value elseif number == 3 then protocols = protocols + 1 elseif number == 2 then addrs = addrs + 1 end
    end)
    item(items, f.agent, agent, "identify")
    item(items, f.note, protocols .. " protocols, " .. addrs .. " addresses")
end

-- Bytes of a stream behind its negotiation, from its opener or not.
local function payload(st, d, opener, items)
    local protocol = st.protocol
    if protocol:match("^/meshsub/") or protocol:match("^/floodsub/") then
        delimited(d, items, gossip_rpc)
    elseif protocol:match("^/ipfs/id/") then
        delimited(d, items, identify)
    elseif protocol:match("^/eth2/beacon_chain/req/") then
        st.method = st.method or protocol:match("req/(.-)/ssz") or protocol
        while #d.buf > 1 and (opener and request or answer)(st, d, items) do end
    else
        item(items, f.note, #d.buf .. " bytes", protocol)
        d.buf = ""
    end
    if #d.buf > BUFFER_MAX then d.buf = "" end
end

local function stream_bytes(st, opener, bytes, items)
    local d = opener and st.forth or st.back
    d.buf = d.buf .. bytes
    while not d.agreed and #d.buf > 0 do
        local text, behind = multistream(d.buf)
        if text == false then return end
        if text == nil then
            d.agreed = true
        else
            d.buf = d.buf:sub(behind)
            item(items, f.proposal, text, text ~= HEADER and text or nil)
            if text ~= HEADER and text:sub(1, 1) == "/" then
                st.protocol = text
                d.agreed = not opener -- who opened may propose again
            end
        end
    end
    if d.agreed and #d.buf > 0 then
        item(items, f.protocol, st.protocol)
        payload(st, d, opener, items)
    end
end

---- muxers --------------------------------------------------------------------------------------------------------------------

local function stream_of(conv, name)
    local st = conv.streams[name]
    if not st then
        st = { protocol = "?", forth = { buf = "" }, back = { buf = "" } }
        conv.streams[name] = st
    end
    return st
end

local YAMUX = { [0] = "data", "window", "ping", "go away" }
local FLAGS = { { 1, " SYN" }, { 2, " ACK" }, { 4, " FIN" }, { 8, " RST" } }

local function yamux(conv, d, items)
    while #d.buf >= 12 do
        local kind, flags, id, length = d.buf:byte(2), be(d.buf, 3, 2), be(d.buf, 5, 4), be(d.buf, 9, 4)
        local size = 12 + (kind == 0 and length or 0)
        if #d.buf < size then return end
        local text = "yamux " .. (YAMUX[kind] or kind)
        for _, flag in ipairs(FLAGS) do if band(flags, flag[1]) ~= 0 then text = text .. flag[2] end end
        item(items, f.frame, text .. (kind <= 1 and " on " .. id or "") .. ", " .. length)
        if kind <= 1 then
            item(items, f.stream, tostring(id))
            if band(flags, 1) ~= 0 then conv.streams[id] = nil end
        end
        if kind == 0 and length > 0 then
            stream_bytes(stream_of(conv, id), (id % 2 == 1) == d.initiator, d.buf:sub(13, size), items)
        end
        d.buf = d.buf:sub(size + 1)
    end
end

local MPLEX = { [0] = "new stream", "message", "message", "close", "close", "reset", "reset" }

local function mplex(conv, d, items)
    while true do
        local head, at = varint(d.buf, 1)
        local n, from
        if head then n, from = varint(d.buf, at) end
        if not n or #d.buf < from + n - 1 then return end
        local id, flag = math.floor(head / 8), head % 8
        local opener = flag % 2 == 0 -- even: said by who opened the stream
        local name = id .. ((opener == d.initiator) and "i" or "r")
        item(items, f.frame, "mplex " .. (MPLEX[flag] or flag) .. " on " .. id .. (opener and ", opener" or ", acceptor") .. ", " .. n)
        item(items, f.stream, tostring(id))
        if flag == 0 then
            conv.streams[name] = nil
        elseif flag <= 2 then
            stream_bytes(stream_of(conv, name), opener, d.buf:sub(from, from + n - 1), items)
        end
        d.buf = d.buf:sub(from + n)
    end
end

-- Plaintext of a record.
local function muxed(conv, d, plain, items)
    d.buf = d.buf .. plain
    while #d.buf > 0 and not d.muxed do
        local text, behind
        if not conv.early then text, behind = multistream(d.buf) end
        if text == false then return end
        if text == nil then
            d.muxed = true
        else
            d.buf = d.buf:sub(behind)
            item(items, f.proposal, text, text ~= HEADER and text or nil)
            if MUXERS[text] then conv.muxer, d.muxed = text, not d.initiator end
        end
    end
    if d.muxed then (conv.muxer == "/mplex/6.7.0" and mplex or yamux)(conv, d, items) end
end

---- Noise ---------------------------------------------------------------------------------------------------------------------

local function handshake_payload(conv, d, plain, items)
    pb(plain, function(number, value)
        if number == 1 then
            item(items, f.peer, identity(value))
        elseif number == 4 then
            d.muxers = {}
            pb(value, function(k, v) if k == 2 then d.muxers[#d.muxers + 1] = v end end)
            item(items, f.muxers, table.concat(d.muxers, " "))
        end
    end)
    local forth, back = conv.forth.muxers, conv.back.muxers
    for _, mine in ipairs(forth or {}) do
        for _, theirs in ipairs(back or {}) do
            if mine == theirs and not conv.early then conv.early, conv.muxer = true, mine end
        end
    end
end

local function handshake(conv, d, body, items)
    d.messages = d.messages + 1
    if d.messages == 1 and not conv.ephemeral then
        conv.ephemeral, conv.keys = body:sub(1, 32), keys_of(body:sub(1, 32))
        d.initiator, conv.forth, conv.back = true, d, d.other
        d.other.initiator = false
        item(items, f.step, "Noise message 1: ephemeral key", "Noise 1")
        if not conv.keys then item(items, f.note, "no line for it in the key log") end
        return
    end
    local number = d.initiator and 3 or 2
    item(items, f.step, "Noise message " .. number .. ": static key, identity", "Noise " .. number)
    d.records = true
    if conv.keys then
        local from = number == 2 and 81 or 49
        handshake_payload(conv, d, open(number == 2 and conv.keys.es or conv.keys.se, 0, body:sub(from)), items)
    end
end

local function record(conv, d, body, items)
    d.nonce = d.nonce + 1
    if not conv.keys then
        return item(items, f.step, "Noise record, sealed: " .. #body .. " bytes", "sealed")
    end
    local plain = open(d.initiator and conv.keys.forth or conv.keys.back, d.nonce - 1, body)
    item(items, f.plain, #plain)
    muxed(conv, d, plain, items)
end

---- TCP -----------------------------------------------------------------------------------------------------------------------

local tcp_stream = Field.new("tcp.stream")
local convs, calls -- by TCP stream; by call: what it showed

function libp2p.init() convs, calls, keys = {}, {}, nil end

local function direction() return { buf = "", nonce = 0, messages = 0 } end

local function conv_of(pinfo)
    local id = tostring(tcp_stream())
    local conv = convs[id]
    if not conv then
        local a, b = direction(), direction()
        a.other, b.other = b, a
        conv = { streams = {}, [tostring(pinfo.src) .. pinfo.src_port] = a, [tostring(pinfo.dst) .. pinfo.dst_port] = b }
        convs[id] = conv
    end
    return conv, conv[tostring(pinfo.src) .. pinfo.src_port]
end

-- One whole message at the front of s: its size and items. nil: more bytes are needed.
local function take(conv, d, s)
    local items = {}
    if not d.secured then
        local text, behind = multistream(s)
        if text then
            item(items, f.proposal, text, text ~= HEADER and text or nil)
            d.secured = text == NOISE_ID
            return behind - 1, items
        elseif text == nil then
            item(items, f.note, "not libp2p")
            return #s, items
        end
        return nil
    end
    if #s < 2 or #s < 2 + be(s, 1, 2) then return nil end
    local size = 2 + be(s, 1, 2)
    local body = s:sub(3, size);
    (d.records and record or handshake)(conv, d, body, items)
    return size, items
end

local function parse(tvb, pinfo)
    local conv, d = conv_of(pinfo)
    local s, at, messages = tvb:raw(), 1, {}
    while at <= #s do
        local size, items = take(conv, d, s:sub(at))
        if not size then break end
        messages[#messages + 1] = { offset = at - 1, size = size, items = items }
        at = at + size
    end
    return { messages = messages, eaten = at - 1 }
end

local function show(call, tvb, pinfo, tree)
    local shorts = {}
    for _, message in ipairs(call.messages) do
        local range = tvb(message.offset, message.size)
        local branch = tree:add(libp2p, range, "libp2p, " .. message.size .. " bytes")
        for _, i in ipairs(message.items) do
            branch:add(i.field, range, i.text)
            if i.short and #shorts < 12 then shorts[#shorts + 1] = i.short end
        end
    end
    pinfo.cols.protocol = "libp2p"
    if #shorts > 0 then pinfo.cols.info = table.concat(shorts, ", ") end
end

function libp2p.dissector(tvb, pinfo, tree)
    local raw = tvb:raw()
    local name = pinfo.number .. ":" .. #raw .. ":" .. raw:sub(1, 16) .. raw:sub(-16)
    local call = calls[name]
    if not call then
        call = parse(tvb, pinfo)
        calls[name] = call
    end
    show(call, tvb, pinfo, tree)
    if call.eaten < #raw then
        pinfo.desegment_offset, pinfo.desegment_len = call.eaten, DESEGMENT_ONE_MORE_SEGMENT
    end
    return #raw
end

libp2p:register_heuristic("tcp", function(tvb, pinfo, tree)
    if tvb:len() < 20 or tvb(0, 20):string() ~= "\19" .. HEADER .. "\n" then return false end
    pinfo.conversation = libp2p
    libp2p.dissector(tvb, pinfo, tree)
    return true
end)
DissectorTable.get("tcp.port"):add_for_decode_as(libp2p)
