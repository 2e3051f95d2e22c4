#!/usr/bin/env python3
"""One SIP call that survives the death of its controller: a user agent that follows AlternatePath, from docs/alternate-path.md alone.
alternate-path-uac.py OWN-ADDRESS CONTROLLER[,BACKUP] USER [SECONDS-OF-TALK]     addresses are IPv4, UDP port 5060"""
import re, secrets, socket, sys, time

me, controllers, user = sys.argv[1:4]
controller, *backups = controllers.split(",")     # 7.9: before it has heard anything, a user agent knows what it was told
talk = float(sys.argv[4]) if len(sys.argv) > 4 else 2.0
SILENCE, PROBE, T1, TIMER_B = 1.0, 0.25, 0.5, 32.0
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((me, 5060))
alternates, silent = {controller: backups}, set() # what each controller said last about itself; who fell silent
call, tag, target, to, routes = f"{secrets.token_hex(8)}@{me}", secrets.token_hex(4), f"sip:{user}@{controller}", "", [f"<sip:{controller};lr>"]

def learn(message):                               # 3: a value's primary is its own URI; at most three alternates
    for primary, value in re.findall(r'(?im)^(?:Record|Service)-Route:\s*<sip:([\d.]+)[^>]*>[^"\n]*;AlternatePath="([^"]*)"', message):
        alternates[primary] = re.findall(r"sip:([\d.]+)", value)[:3]

def send(text, hop):
    sock.sendto(text.encode(), (hop, 5060))

def receive(seconds):                             # 8.1: our controllers' word is obeyed, nobody else's
    sock.settimeout(max(seconds, 0.001))
    try:
        data, (sender, _) = sock.recvfrom(65535)
    except (socket.timeout, ConnectionError):
        return "", ""
    if sender != controller and not any(sender in [hop, *others] for hop, others in alternates.items()):
        return "", ""
    learn(data.decode())
    return data.decode(), sender

def compose(method, number, branch=None, forwards=70, uri=None, call_id=None):
    lines = [f"{method} {uri or target} SIP/2.0", f"Via: SIP/2.0/UDP {me}:5060;rport;branch=z9hG4bK{branch or secrets.token_hex(8)}",
             f"Max-Forwards: {forwards}", *[f"Route: {route}" for route in routes], f"From: <sip:uac@{me}>;tag={tag}",
             f"To: {to or f'<{target}>'}", f"Call-ID: {call_id or call}", f"CSeq: {number} {method}", f"Contact: <sip:uac@{me}:5060>"]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""])

def transact(method, number, hop):                # 7: the same octets to one address after the other; Timer B or F runs once
    text = compose(method, number)
    branch = re.search(r"branch=([^\s;]+)", text)[1]
    hops = sorted([hop, *alternates.get(hop, [])], key=lambda each: each in silent)
    tried, begun, wait, waits_long = [], time.time(), T1, False
    hop, heard, repeat, probe = hops[0], begun, begun + T1, begun + SILENCE / 2
    send(text, hop)
    while time.time() < begun + TIMER_B:
        message, sender = receive(0.02)
        now, status = time.time(), int((re.match(r"SIP/2.0 (\d+)", message) or [0, 0])[1])
        if sender == hop and status:
            heard = now                           # 7.2: any well-formed answer to what we sent is a sign of life, 483 as well
        if status and branch in message.split("\r\n\r\n")[0]:
            waits_long = True
            if status >= 200:
                return status, message, sender
        others = [each for each in [*hops, *alternates.get(hop, [])] if each not in [hop, *tried]]
        if now - heard >= SILENCE and others:
            silent.add(hop); tried.append(hop)
            hop, heard, wait, repeat, waits_long = others[0], now, T1, now + T1, False
            print(f"{method} moves to {hop}", flush=True)
            send(text, hop)
        elif not waits_long and now >= repeat:
            wait = min(2 * wait, 4.0 if method != "INVITE" else TIMER_B)
            repeat = now + wait
            send(text, hop)
        if now >= probe and others:               # 7.3: OPTIONS with Max-Forwards 0, for as long as something is pending
            probe = now + PROBE
            send(compose("OPTIONS", 1, forwards=0, uri=f"sip:{hop}", call_id=secrets.token_hex(8)), hop)
    return 408, "", hop

status, answer, hop = transact("INVITE", 1, controller)
to = (re.search(r"(?im)^To:\s*(.*?)\r?$", answer) or ["", ""])[1]
if status >= 300:
    sys.exit(f"{status}")                         # a telephone acknowledges here, to the hop that answered
print("answered", flush=True)
routes = re.findall(r"(?im)^Record-Route:\s*(<[^>]*>[^\r\n]*)", answer)[::-1]
target = re.search(r"(?im)^Contact:\s*<([^>]*)>", answer)[1]
hop = re.search(r"<sip:([\d.]+)", routes[0])[1]   # Route stays as it is, whoever the request is sent to
ack = compose("ACK", 1)
send(ack, hop)
until = time.time() + talk
while time.time() < until:
    again, _ = receive(until - time.time())
    if again.startswith("SIP/2.0 2") and "1 INVITE" in again:   # 7.6: a repeated 2xx says that the ACK did not arrive
        hop = next((each for each in alternates.get(hop, []) if each not in silent), hop)
        send(ack, hop)
print(transact("BYE", 2, hop)[0], flush=True)
