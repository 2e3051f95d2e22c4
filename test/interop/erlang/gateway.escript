#!/usr/bin/env escript
%%! +S 1:1 +sbwt none
%% A media gateway with four analog lines on OTP's megaco application: what the controller is tried with.
%%   escript gateway.escript pretty|compact|ber udp|tcp ENTITY HOST:PORT [HOST:PORT ...]
%% The controllers are a provisioned list: when one does not answer any more, the next gets a ServiceChange Failover
%% (RFC 3525 11.5). The path attribute is not known here; it must do no harm.
%% The environment variable GATEWAY_PORT: the UDP port that it binds first, so that a controller can find it unasked.
%% Standard input: offhook N | onhook N | dial N DIGITS | quit.  Standard output: one line per change.
-mode(compile).
-export([handle_connect/2, handle_disconnect/3, handle_syntax_error/3, handle_message_error/3,
         handle_trans_request/3, handle_trans_long_request/3, handle_trans_reply/4, handle_trans_ack/4,
         handle_unexpected_trans/3, handle_trans_request_abort/4, handle_segment_reply/5,
         encode_name/3, decode_name/3]).
-record(megaco_receive_handle, {local_mid, encoding_mod, encoding_config, send_mod, protocol_version = dynamic}).
-record(megaco_incr_timer, {wait_for = 7000, factor = 2, incr = 0, max_retries = infinity}).
-record(line, {ctx = 0, hook = on, request = 0, events = [], map = "", signal = "", rtp = 0, mode = none, remote = ""}).

main([Enc, Transport, Entity | Controllers]) ->
    logger:set_primary_config(level, none),
    ok = megaco:start(),
    register(gateway, self()),
    Mid = {deviceName, Entity},
    {EM, EC, V} = codec(list_to_atom(Enc)),
    ok = megaco:start_user(Mid, [{user_mod, ?MODULE}, {send_mod, list_to_atom("megaco_" ++ Transport)}, {encoding_mod, EM},
                                 {encoding_config, EC}, {protocol_version, 1}, {reply_timer, 2000},
                                 {request_timer, #megaco_incr_timer{wait_for = 300, factor = 2, max_retries = 2}}]),
    RH = (megaco:user_info(Mid, receive_handle))#megaco_receive_handle{protocol_version = V},
    Parent = self(),
    spawn(fun() -> input(Parent) end),
    S0 = #{rh => RH, enc => list_to_atom(Enc), transport => Transport, list => Controllers, ch => none, next_ctx => 1,
           next_rtp => 1, lines => maps:from_list([{N, #line{}} || N <- [1, 2, 3, 4]]), waiting => []},
    loop(register_with(S0, "Restart", "901 Cold Boot", Controllers)).

codec(pretty) -> {megaco_pretty_text_encoder, [], dynamic};
codec(compact) -> {megaco_compact_text_encoder, [], dynamic};
codec(ber) -> {megaco_ber_encoder, [{binary_name_resolver, {?MODULE, []}}], 1}.

input(Parent) ->
    case io:get_line("") of
        eof -> halt(0);
        L -> Parent ! {input, string:lexemes(L, " \n")}, input(Parent)
    end.

say(F, A) -> io:format(F ++ "~n", A).

%% --- the association
register_with(S, Method, Reason, []) ->
    timer:sleep(500),
    register_with(S, Method, Reason, maps:get(list, S));
register_with(#{rh := RH} = S, Method, Reason, [Address | Others]) ->
    [Host, Port] = string:lexemes(Address, ":"),
    {ok, Ip} = inet:parse_address(Host),
    case open(maps:get(transport, S), RH, Ip, list_to_integer(Port)) of
        {ok, SH, Pid} ->
            CH = connected(megaco:connect(RH, preliminary_mid, SH, Pid), RH, SH, Pid),
            Acts = acts(["Context=-{ServiceChange=ROOT{Services{Method=", Method, ",Version=1,Reason=\"", Reason, "\"}}}"]),
            case megaco:call(CH, Acts, []) of
                {_, {ok, [_ | _]}} ->
                    say("registered ~s ~s", [Method, Address]),
                    S#{ch := current(RH, CH, lists:join(",", string:lexemes(Host, "."))), address => Address};
                Else ->
                    say("refused ~s ~0p", [Address, element(1, Else)]),
                    megaco:disconnect(CH, no_answer),
                    register_with(S, next_method(Method), next_reason(Method), Others)
            end;
        _ -> register_with(S, next_method(Method), next_reason(Method), Others)
    end.

next_method("Restart") -> "Restart";
next_method(_) -> "Failover".
next_reason("Restart") -> "901 Cold Boot";
next_reason(_) -> "909 MGC Impending Failure".

open("udp", RH, Ip, Port) ->
    {ok, Sup} = megaco_udp:start_transport(),
    {ok, Sock, Pid} = megaco_udp:open(Sup, [{port, own_port()}, {receive_handle, RH}]),
    {ok, megaco_udp:create_send_handle(Sock, Ip, Port), Pid};
open("tcp", RH, Ip, Port) ->
    {ok, Sup} = megaco_tcp:start_transport(),
    megaco_tcp:connect(Sup, [{host, Ip}, {port, Port}, {receive_handle, RH}]).

own_port() ->
    case {os:getenv("GATEWAY_PORT"), put(port_taken, true)} of
        {false, _} -> 0;
        {_, true} -> 0;
        {P, _} -> list_to_integer(P)
    end.

%% a preliminary one that an attempt before left behind makes room
connected({ok, CH}, _, _, _) -> CH;
connected({error, {already_connected, Old}}, RH, SH, Pid) ->
    megaco:disconnect(Old, again),
    {ok, CH} = megaco:connect(RH, preliminary_mid, SH, Pid),
    CH.

%% the connection that the controller's own mId made of the preliminary one: by its address, where that is its mId
current(#megaco_receive_handle{local_mid = Mid}, CH, Octets) ->
    All = [C || C <- megaco:user_info(Mid, connections), element(3, C) =/= preliminary_mid],
    Named = [C || C <- All, string:find(io_lib:format("~w", [element(3, C)]), Octets) =/= nomatch],
    case case Named of [] -> All; _ -> Named end of
        [] -> CH;
        Cs -> lists:last(lists:sort(fun(A, B) -> megaco:conn_info(A, trans_id) =< megaco:conn_info(B, trans_id) end, Cs))
    end.

%% --- events
loop(S) ->
    receive
        {input, ["offhook", N]} -> loop(hook(S, list_to_integer(N), off));
        {input, ["onhook", N]} -> loop(hook(S, list_to_integer(N), on));
        {input, ["dial", N, D]} -> loop(dial(S, list_to_integer(N), D));
        {input, ["quit"]} -> halt(0);
        {input, _} -> loop(S);
        {request, From, CH, Acts} ->
            {Reply, S1} = execute(Acts, S#{ch := CH}),
            From ! {reply, Reply},
            loop(strict(S1));
        {notified, N, ok} -> say("notified ~p", [N]), loop(S);
        {notified, N, {failed, Text}} ->
            S1 = register_with(S, "Failover", "909 MGC Impending Failure", others(S)),
            notify(S1, N, Text),
            loop(S1)
    end.

others(#{list := L, address := A}) -> [X || X <- L, X =/= A] ++ [A].

hook(S, N, Hook) ->
    L = line(S, N),
    S1 = put_line(S, N, L#line{hook = Hook}),
    Event = case Hook of on -> "al/on"; off -> "al/of" end,
    case lists:member(Event, L#line.events) of
        true -> observed(S1, N, Event);
        false -> S1
    end.

%% strict=state: what is so already is reported (E.9.2)
strict(S) ->
    lists:foldl(fun(N, S1) ->
                        L = line(S1, N),
                        Event = case L#line.hook of on -> "al/on"; off -> "al/of" end,
                        case get({armed, N}) =:= true andalso lists:member(Event, L#line.events) of
                            true -> put({armed, N}, false), observed(S1, N, Event);
                            false -> put({armed, N}, false), S1
                        end
                end, S, maps:keys(maps:get(lines, S))).

dial(S, N, D) ->
    case lists:member("dd/ce", (line(S, N))#line.events) of
        true -> observed(S, N, ["dd/ce{ds=\"", D, "\",meth=UM}"]);
        false -> S
    end.

observed(S, N, Event) ->
    L = line(S, N),
    S1 = put_line(S, N, L#line{signal = ""}),
    Text = ["Notify=aaln/", integer_to_list(N), "{ObservedEvents=", integer_to_list(L#line.request), "{20260101T00000000:", Event, "}}"],
    notify(S1, N, Text),
    S1.

notify(#{ch := CH} = S, N, Text) ->
    Ctx = case (line(S, N))#line.ctx of 0 -> "-"; C -> integer_to_list(C) end,
    Parent = self(),
    Acts = wrap(maps:get(enc, S), acts(["Context=", Ctx, "{", Text, "}"])),
    spawn(fun() ->
                  case megaco:call(CH, Acts, []) of
                      {_, {ok, _}} -> Parent ! {notified, N, ok};
                      E -> say("unanswered ~0p", [E]), Parent ! {notified, N, {failed, Text}}
                  end
          end).

%% --- commands
execute(Acts, S) ->
    {Rs, S1} = lists:foldl(fun(A, {R, Sa}) -> {X, Sb} = action(A, Sa), {R ++ X, Sb} end, {[], S}, Acts),
    {Rs, S1}.

action({'ActionRequest', 16#FFFFFFFF, _, _, _}, #{lines := Ls} = S) ->
    {case [[rep(C, audit("aaln/" ++ integer_to_list(N), "")), rep(C, audit("rtp/" ++ integer_to_list(R), ""))]
           || {N, #line{ctx = C, rtp = R}} <- maps:to_list(Ls), C =/= 0] of
         [] -> reps("Context=*{Error=431{}}");
         R -> lists:append(lists:append(R))
     end, S};
action({'ActionRequest', 16#FFFFFFFE, _, _, Cmds}, #{next_ctx := C} = S) ->
    commands(C, Cmds, S#{next_ctx := C + 1});
action({'ActionRequest', C, _, _, Cmds}, S) -> commands(C, Cmds, S).

commands(C, Cmds, S) ->
    {Texts, S1} = lists:foldl(fun({'CommandRequest', Cmd, _, _}, {T, Sa}) -> {X, Sb} = command(C, Cmd, Sa), {T ++ X, Sb} end, {[], S}, Cmds),
    {rep(C, lists:join(",", [T || T <- Texts])), S1}.

command(C, {Tag, {'AmmRequest', [Id], Ds}}, S) ->
    case {Tag, term(Id)} of
        {addReq, "$"} ->
            #{next_rtp := R} = S,
            N = hd([K || {K, #line{ctx = X}} <- maps:to_list(maps:get(lines, S)), X =:= C]),
            L = media(Ds, (line(S, N))#line{rtp = R}),
            {[["Add=rtp/", integer_to_list(R), "{Media{Stream=1{Local{\n", sdp(R), "}}}}"]], put_line(S#{next_rtp := R + 1}, N, L)};
        {_, "rtp/" ++ R} ->
            [{N, L} | _] = [X || {_, #line{rtp = Y}} = X <- maps:to_list(maps:get(lines, S)), integer_to_list(Y) =:= R],
            {["Modify=rtp/" ++ R], put_line(S, N, media(Ds, L))};
        {_, "aaln/" ++ T} ->
            N = list_to_integer(T),
            L0 = line(S, N),
            L = events(N, Ds, signals(Ds, L0#line{ctx = C})),
            {[verb(Tag) ++ "=aaln/" ++ T], put_line(S, N, L)};
        {_, "root"} -> {["Modify=ROOT"], S}
    end;
command(_, {subtractReq, {'SubtractRequest', [Id], _}}, S) ->
    case term(Id) of
        "aaln/" ++ T ->
            N = list_to_integer(T),
            {["Subtract=aaln/" ++ T], put_line(S, N, (line(S, N))#line{ctx = 0, events = [], signal = ""})};
        "rtp/" ++ R ->
            Ls = maps:map(fun(_, #line{rtp = X} = L) -> case integer_to_list(X) of R -> L#line{rtp = 0, mode = none, remote = ""}; _ -> L end end, maps:get(lines, S)),
            {["Subtract=rtp/" ++ R ++ "{Statistics{nt/os=0,nt/or=0}}"], S#{lines := Ls}}
    end;
command(C, {auditValueRequest, {'AuditRequest', Id, {'AuditDescriptor', Items}}}, S) ->
    {case term(Id) of
         "root" when Items =:= asn1_NOVALUE; Items =:= [] -> ["AuditValue=ROOT"];
         "root" -> ["AuditValue=ROOT{Packages{g-1,root-1,al-1,cg-1,dd-1,nt-1,rtp-1}}"];
         "*" -> lists:append([[audit("aaln/" ++ integer_to_list(N), describe(L)), audit("rtp/" ++ integer_to_list(L#line.rtp), rtp(L))]
                              || {N, #line{ctx = X} = L} <- maps:to_list(maps:get(lines, S)), X =:= C]);
         "aaln/" ++ T -> [audit("aaln/" ++ T, describe(line(S, list_to_integer(T))))]
     end, S};
command(_, {serviceChangeReq, _}, S) -> {["ServiceChange=ROOT{Error=501{\"Not implemented\"}}"], S}.

verb(addReq) -> "Add";
verb(_) -> "Modify".
audit(Id, "") -> ["AuditValue=", Id];
audit(Id, D) -> ["AuditValue=", Id, "{", D, "}"].
describe(#line{events = [], signal = ""}) -> "Events";
describe(#line{request = R, events = E, signal = G} = L) ->
    ["Events=", integer_to_list(R), "{", lists:join(",", [case X of "dd/ce" -> X ++ L#line.map; _ -> X end || X <- E]), "}" | case G of "" -> ""; _ -> [",Signals{", G, "}"] end].
rtp(#line{rtp = R, mode = M, remote = Re}) ->
    ["Media{Stream=1{LocalControl{Mode=", case M of sendRecv -> "SendReceive"; _ -> "ReceiveOnly" end, "},Local{\n", sdp(R), "}",
     case Re of "" -> ""; _ -> [",Remote{\n", Re, "}"] end, "}}"].
sdp(R) -> ["v=0\nc=IN IP4 127.0.0.1\nm=audio ", integer_to_list(40000 + 2 * R), " RTP/AVP 0\n"].

media(Ds, L) ->
    lists:foldl(fun({mediaDescriptor, {'MediaDescriptor', _, {multiStream, [{'StreamDescriptor', _, {'StreamParms', LC, _, Remote}} | _]}}}, A) ->
                        A1 = case LC of {'LocalControlDescriptor', M, _, _, _} -> A#line{mode = M}; _ -> A end,
                        case Remote of {'LocalRemoteDescriptor', [G | _]} -> A1#line{remote = group(G)}; _ -> A1 end;
                   (_, A) -> A
                end, L, Ds).
group(G) -> [[N, "=", lists:join(" ", V), "\n"] || {'PropertyParm', N, V, _} <- [unwrapped(P) || P <- G]].
%% in BER a value is a BER string inside an octet string (A.2)
unwrapped({'PropertyParm', N, [[22, Len | V]], X}) when length(V) =:= Len -> {'PropertyParm', N, [V], X};
unwrapped(P) -> P.

signals(Ds, L) ->
    case [S || {signalsDescriptor, S} <- Ds] of
        [[{signal, {'Signal', Name, _, _, _, _, _, _}} | _]] -> L#line{signal = Name};
        [[]] -> L#line{signal = ""};
        [] -> L
    end.
events(N, Ds, L) ->
    case [{R, Es} || {eventsDescriptor, {'EventsDescriptor', R, Es}} <- Ds] of
        [{R, Es}] ->
            put({armed, N}, lists:any(fun({'RequestedEvent', _, _, _, Ps}) -> Ps =/= [] end, Es)),
            L#line{request = R, events = [E || {'RequestedEvent', E, _, _, _} <- Es],
                   map = lists:append([map(A) || {'RequestedEvent', "dd/ce", _, A, _} <- Es])};
        [] -> L
    end.

%% an inline digit map, kept to be audited as OTP writes it: DM{...} without "=", the form of RFC 3015
map({'RequestedActions', _, {digitMapValue, V}, _, _}) ->
    [Start, Short, Long | _] = tl(tuple_to_list(V)),
    Body = lists:last([X || X <- tuple_to_list(V), is_list(X)]),
    "{DigitMap={" ++ lists:append([T ++ ":" ++ integer_to_list(I) ++ "," || {T, I} <- [{"T", Start}, {"S", Short}, {"L", Long}], is_integer(I)])
        ++ Body ++ "}}";
map(_) -> "".

line(#{lines := Ls}, N) -> maps:get(N, Ls).
put_line(#{lines := Ls} = S, N, L) ->
    case maps:get(N, Ls) of
        L -> ok;
        _ -> say("line ~p hook=~p signal=~s context=~p mode=~p remote=~s", [N, L#line.hook, L#line.signal, L#line.ctx, L#line.mode, port(L#line.remote)])
    end,
    S#{lines := Ls#{N := L}}.
port(R) -> case re:run(lists:flatten(R), "m=audio (\\d+)", [{capture, [1], list}]) of {match, [P]} -> P; _ -> "-" end.

%% --- records by way of text
acts(T) -> {transactions, [{transactionRequest, {_, _, A}}]} = body(["Transaction=1{", T, "}"]), A.
reps(T) -> {transactions, [{transactionReply, {_, _, _, {actionReplies, A}}}]} = body(["Reply=1{", T, "}"]), A.
rep(0, T) -> reps(["Context=-{", T, "}"]);
rep(C, T) -> reps(["Context=", integer_to_list(C), "{", T, "}"]).
body(T) ->
    {ok, {_, _, {_, _, _, B}}} = megaco_pretty_text_encoder:decode_message([], dynamic, iolist_to_binary(["MEGACO/1 x\n", T])), B.

%% event parameters of ours as BER values (A.2)
wrap(ber, T) -> ber(T);
wrap(_, T) -> T.
ber({'EventParameter', "ds", [V], X}) -> D = string:trim(V, both, "\""), {'EventParameter', "ds", [[22, length(D) | D]], X};
ber({'EventParameter', N, [_], X}) -> {'EventParameter', N, [[10, 1, 1]], X};
ber(T) when is_tuple(T) -> list_to_tuple([ber(E) || E <- tuple_to_list(T)]);
ber([H | _] = L) when is_tuple(H) -> [ber(E) || E <- L];
ber(X) -> X.

term({megaco_term_id, _, Ls}) -> string:join([lists:flatten([L]) || L <- Ls], "/");
term([T]) -> term(T).

%% --- names in binary: one octet of kind (1 line, 2 rtp), three of number
encode_name(_, term_id, {megaco_term_id, _, _} = T) ->
    case term(T) of
        "root" -> {'TerminationID', [], lists:duplicate(8, 255)};
        "*" -> {'TerminationID', [[16#C0 + 31]], [0, 0, 0, 0]};
        "$" -> {'TerminationID', [[16#40 + 31]], [0, 0, 0, 0]};
        "aaln/" ++ N -> {'TerminationID', [], [1 | n3(list_to_integer(N))]};
        "rtp/" ++ N -> {'TerminationID', [], [2 | n3(list_to_integer(N))]}
    end;
encode_name(_, {_, _}, "ds") -> [0, 1];
encode_name(_, {_, _}, "meth") -> [0, 3];
encode_name(_, Scope, Item) -> megaco_binary_name_resolver_v1:encode_name([8, 8, 8], Scope, Item).
decode_name(_, term_id, {'TerminationID', W, Id}) ->
    S = case {W, Id} of
            {[], [255, 255, 255, 255, 255, 255, 255, 255]} -> "root";
            {[], [1 | N]} -> "aaln/" ++ num(N);
            {[], [2 | N]} -> "rtp/" ++ num(N);
            {[[B] | _], _} when B >= 128 -> "*";
            _ -> "$"
        end,
    {megaco_term_id, W =/= [], string:split(S, "/", all)};
decode_name(_, Scope, Item) -> megaco_binary_name_resolver_v1:decode_name([8, 8, 8], Scope, Item).
n3(I) -> [(I bsr 16) band 255, (I bsr 8) band 255, I band 255].
num([A, B, C]) -> integer_to_list((A bsl 16) + (B bsl 8) + C).

%% --- megaco_user callbacks
handle_connect(_, _) -> ok.
handle_disconnect(_, _, _) -> ok.
handle_syntax_error(_, _, E) -> say("SYNTAX ERROR ~0p", [E]), reply.
handle_message_error(_, _, E) -> say("MESSAGE ERROR ~0p", [E]), ok.
handle_trans_request(CH, _V, Acts) ->
    gateway ! {request, self(), CH, Acts},
    receive {reply, R} -> {discard_ack, R} after 3000 -> {discard_ack, {'ErrorDescriptor', 500, "no answer"}} end.
handle_trans_long_request(_, _, _) -> {discard_ack, []}.
handle_trans_reply(_, _, _, _) -> ok.
handle_trans_ack(_, _, _, _) -> ok.
handle_unexpected_trans(_, _, _) -> ok.
handle_trans_request_abort(_, _, _, _) -> ok.
handle_segment_reply(_, _, _, _, _) -> ok.
