function tests = test_wire()
% test_wire  Bytes: golden messages, JSON, arrays. No daemon needed.

% SPDX-License-Identifier: BSD-3-Clause
tests = {
    'handshake'                @handshakes
    'golden ping'              @goldenPing
    'golden detect'            @goldenDetect
    'golden reduce'            @goldenReduce
    'golden replies'           @goldenReplies
    'damaged replies'          @damagedReplies
    'json lists stay lists'    @jsonLists
    'json numbers and text'    @jsonValues
    'arrays there and back'    @roundTrips
    'pieces'                   @pieces
    'what cannot be sent'      @refusedArrays
    'options'                  @options
    'peaks'                    @peakTable
    'status names'             @statusNames
    'request ids'              @requestIds
    'endpoints'                @endpoints
    };
end

function handshakes()
g = golden('handshake');
check('REQ', isequal(spiked.internal.handshake('REQ'), g.req));
check('REP', isequal(spiked.internal.handshake('REP'), g.rep));
check('u64', isequal(spiked.internal.bigEndian(uint64(258)), uint8([0 0 0 0 0 0 1 2])));
check('and back', spiked.internal.fromBigEndian(uint8([0 0 1 2]), 'uint32') == 258);
end

function bytes = sent(tag, id, header, arrays)
sizes = zeros(1, numel(arrays));
for i = 1:numel(arrays)
    sizes(i) = header.arrays{i}.nbytes;
end
pipe = Pipe();
[head, pads, nbody] = spiked.internal.requestHead(id, header, sizes);
spiked.internal.sendRequest(@(b) pipe.put(b), tag, head, pads, nbody, arrays);
bytes = pipe.bytes;
end

function goldenPing()
g = golden('ping');
check('bytes', isequal(sent(g.tag, g.id, struct('op', 'ping', 'token', 'secret'), {}), g.bytes));
end

function goldenDetect()
g = golden('detect_int16_fortran');
x = int16([1 -2; 300 -400; 32767 -32768]);
levels = [0.5 2];
o = spiked.internal.detectionDefaults();
o.DetectThreshold = 5.5;
o.Preprocess = {spiked.commonReference('median')};
o.NoiseLevels = levels;
[params, noise] = spiked.internal.detectionParams(struct('sampling_frequency', 30000), o);
header = struct('op', 'detect', 'params', params, 'deadline_ms', 1500, 'token', 'q"\/');
header.arrays = {spiked.internal.describeArray('traces', x, 2), spiked.internal.describeArray(noise{:})};
check('bytes', isequal(sent(g.tag, g.id, header, {x, noise{2}}), g.bytes));
end

function goldenReduce()
g = golden('reduce_one_operation');
x = zeros(0, 3, 'uint8');
header = struct('op', 'reduce');
header.params = spiked.internal.reductionParams(struct(), 'mean', struct('Threshold', [], 'Preprocess', {{}}, 'Seed', []));
header.arrays = {spiked.internal.describeArray('traces', x, 2)};
check('bytes', isequal(sent(g.tag, g.id, header, {x}), g.bytes));
end

function [id, header, arrays] = received(bytes, tag)
pipe = Pipe(bytes);
[id, header, arrays] = spiked.internal.receiveReply(@(n, s) pipe.get(n, s), tag, 1);
check('all bytes are used', isempty(pipe.bytes));
end

function goldenReplies()
for name = {'pong', 'peaks', 'traces', 'failure'}
    g = golden(name{1});
    [id, header] = received(g.bytes, g.tag);
    check('id', isequal(id, g.id));
    check('header', isequal(header, g.header));
end
g = golden('peaks');
[~, ~, arrays] = received(g.bytes, g.tag);
p = spiked.internal.peakStruct(arrays.peaks, 10);
check('samples are 1-based', isequal(p.sampleIndex, [11; 2^32 + 1]));
check('channels are 1-based', isequal(p.channelIndex, [2; 1]));
check('segments are 1-based', isequal(p.segmentIndex, [1; 2]));
check('amplitudes', isequal(p.amplitude, [-55.25; -1.5]));
check('seconds', isequal(p.time, [1; 2^32 / 10]));
check('levels', isequal(arrays.noise_levels, [0.5; 2]));
check('logical', islogical(arrays.noise_levels_used) && isequal(arrays.noise_levels_used, [true; false]));
g = golden('traces');
[~, ~, arrays] = received(g.bytes, g.tag);
x = int16([1 -2; 300 -400; 32767 -32768]);
check('row-major', isa(arrays.traces, 'int16') && isequal(arrays.traces, x));
check('column-major', isequal(arrays.fortran, x));
check('empty', isa(arrays.none, 'single') && isequal(size(arrays.none), [0 2]));
check('half', isa(arrays.half, 'single') && isequal(arrays.half, single([1.5; -2; 65504])));
g = golden('failure');
[~, header] = received(g.bytes, g.tag);
e = checkError('spiked:invalid', @() spiked.internal.raiseReply('detect', header));
check('what and hint', strcmp(e.message, 'detect: detect_threshold: must be above 0 (give 5)'));
end

function damagedReplies()
g = golden('peaks');
checkError('spiked:protocol', @() received(g.bytes, g.tag + 1));
for at = [1 13 17 19 41]
    b = g.bytes;
    b(at) = bitxor(b(at), 64);
    checkError('spiked:protocol', @() received(b, g.tag));
end
text = strrep(char(g.bytes), '"nbytes":64', '"nbytes":65');
checkError('spiked:protocol', @() received(uint8(text), g.tag));
text = strrep(char(g.bytes), '"peak"', '"pork"');
checkError('spiked:protocol', @() received(uint8(text), g.tag));
text = strrep(char(g.bytes), '"nbytes":16', '"nbytes":99');
checkError('spiked:protocol', @() received(uint8(text), g.tag));
b = [g.bytes uint8(zeros(1, 8))];
b(1:8) = spiked.internal.bigEndian(uint64(numel(b) - 8));
checkError('spiked:protocol', @() received(b, g.tag));
end

function jsonLists()
e = @(x) spiked.internal.encodeJson(x);
check('one name', strcmp(e({'mean'}), '["mean"]'));
check('one number', strcmp(e({3}), '[3]'));
check('no element', strcmp(e({}), '[]'));
check('one object', strcmp(e({struct('stage', 'highpass')}), '[{"stage":"highpass"}]'));
check('vector', strcmp(e([1 2 3]), '[1,2,3]'));
check('struct array', strcmp(e(struct('a', {1, 2})), '[{"a":1},{"a":2}]'));
check('empty object', strcmp(e(struct()), '{}'));
s = struct('shape', {num2cell(size(zeros(1, 7)))});
check('shape', strcmp(e(s), '{"shape":[1,7]}'));
for list = {{}, [], {1}, 5, {'a'}, 'a', {struct('x', 1)}, struct('x', 1), struct('x', {1, 2})}
    check('a list is a row cell', iscell(spiked.internal.asList(list{1})) && size(spiked.internal.asList(list{1}), 1) <= 1);
end
d = jsondecode('{"same":[{"a":1},{"a":2}],"other":[{"a":1},{"b":2}],"one":[{"a":1}],"text":["x"]}');
check('equal objects', isequal(spiked.internal.asList(d.same), {struct('a', 1), struct('a', 2)}));
end

function jsonValues()
e = @(x) spiked.internal.encodeJson(x);
check('logical', strcmp(e({true, false}), '[true,false]'));
check('integers', strcmp(e({0, -1, 2^53, int64(5), uint8(255)}), '[0,-1,9007199254740992,5,255]'));
check('int64 exactly', strcmp(e(int64(9007199254740993)), '9007199254740993'));
check('fraction', jsondecode(e(0.1)) == 0.1 && jsondecode(e(-1.5e300)) == -1.5e300);
check('escapes', strcmp(e(sprintf('a"b\\c\nd')), '"a\"b\\c\u000ad"'));
check('empty text', strcmp(e(''), '""'));
utf8 = spiked.internal.textToBytes(spiked.internal.bytesToText(uint8([195 169 226 130 172])));
check('UTF-8', isequal(utf8, uint8([195 169 226 130 172])));
checkError('spiked:invalid', @() e(NaN));
checkError('spiked:invalid', @() e({Inf}));
checkError('spiked:invalid', @() e(1i));
checkError('spiked:invalid', @() e(@sin));
end

function roundTrips()
for kind = {'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'single', 'double', 'logical'}
    for shape = {[3 5], [1 4], [4 1], [1 1], [0 3], [3 0]}
        x = cast(reshape(mod(1:prod(shape{1}), 2), shape{1}), kind{1});
        [d, nbytes] = spiked.internal.describeArray('x', x, 2);
        pipe = Pipe();
        header = struct('op', 'x', 'arrays', {{d}});
        [head, pads, nbody] = spiked.internal.requestHead(uint8(1:16), header, nbytes);
        spiked.internal.sendRequest(@(b) pipe.put(b), 1, head, pads, nbody, {x});
        check('length', numel(pipe.bytes) == nbody + 12);
        d.shape = cell2mat(d.shape).';    % as jsondecode gives it
        data = Pipe(pipe.bytes(end - nbytes + 1:end));
        y = spiked.internal.receiveArray(@(n) data.get(n), d);
        check([kind{1} ' comes back'], strcmp(class(x), class(y)) && isequal(size(x), size(y)) && isequal(x, y));
    end
end
end

function pieces()
x = reshape(int32(1:3e6), [], 3);    % 12 MB: many pieces
[d, nbytes] = spiked.internal.describeArray('x', x, 2);
pipe = Pipe();
[head, pads, nbody] = spiked.internal.requestHead(uint8(1:16), struct('op', 'x', 'arrays', {{d}}), nbytes);
spiked.internal.sendRequest(@(b) pipe.put(b), 1, head, pads, nbody, {x});
check('several writes', pipe.puts >= 3 && numel(pipe.bytes) == nbody + 12);
d.shape = [1e6; 3];
data = Pipe(pipe.bytes(end - nbytes + 1:end));
check('column-major', isequal(spiked.internal.receiveArray(@(n) data.get(n), d), x));
d.order = 'C';
data = Pipe(typecast(reshape(x.', 1, []), 'uint8'));
check('row-major', isequal(spiked.internal.receiveArray(@(n) data.get(n), d), x));
small = Pipe();
[d, nbytes] = spiked.internal.describeArray('x', int16(1:10), 2);
[head, pads, nbody] = spiked.internal.requestHead(uint8(1:16), struct('op', 'x', 'arrays', {{d}}), nbytes);
spiked.internal.sendRequest(@(b) small.put(b), 1, head, pads, nbody, {int16(1:10)});
check('a small message is one write', small.puts == 1);
end

function refusedArrays()
for x = {'text', {1}, struct(), 1i, sparse(1)}
    checkError('spiked:invalid', @() spiked.internal.describeArray('x', x{1}, 2));
end
end

function options()
o = spiked.internal.parseOptions('f', struct('Alpha', 1, 'Beta', 2), {'beta', 5});
check('any case', isequal(o, struct('Alpha', 1, 'Beta', 5)));
checkError('spiked:invalid', @() spiked.internal.parseOptions('f', struct('Alpha', 1), {'Gamma', 5}));
checkError('spiked:invalid', @() spiked.internal.parseOptions('f', struct('Alpha', 1), {'Alpha'}));
checkError('spiked:invalid', @() spiked.internal.parseOptions('f', struct('Alpha', 1), {7, 7}));
checkError('spiked:invalid', @() spiked.bandpass(300, 6000, 'Ordre', 5));
checkError('spiked:invalid', @() spiked.internal.stageList('f', {1}));
check('one stage', isequal(spiked.internal.stageList('f', spiked.highpass(200)), {spiked.highpass(200)}));
checkError('spiked:invalid', @() spiked.internal.index('f', 'First', 0));
checkError('spiked:invalid', @() spiked.internal.index('f', 'First', 1.5));
end

function peakTable()
p = spiked.internal.peakStruct(zeros(4, 0, 'int64'), 30000);
check('columns without rows', isequal(size(p.sampleIndex), [0 1]) && isequal(size(p.amplitude), [0 1]));
end

function statusNames()
names = {'INVALID' 'NOT_FOUND' 'DENIED' 'UNSUPPORTED' 'TOO_LARGE' 'BUSY' 'DEADLINE' 'CANCELLED' 'UNAVAILABLE' 'CORRUPT' 'IO' 'NO_MEMORY' ...
    'UNREACHABLE' 'PROTOCOL' 'INTERNAL'};
ids = cellfun(@spiked.internal.errorId, names, 'UniformOutput', false);
check('one each', numel(unique(ids)) == numel(names));
for i = 1:numel(names)
    header = struct('status', names{i}, 'error', struct('message', 'something went wrong', 'hint', 'do this', 'incident', 77));
    e = checkError(['spiked:' ids{i}], @() spiked.internal.raiseReply('op', header));
    check('incident', ~isempty(strfind(e.message, '77')));
end
end

function requestIds()
a = spiked.internal.requestId();
check('16 bytes', isa(a, 'uint8') && isequal(size(a), [1 16]));
check('not again', ~isequal(a, spiked.internal.requestId()));
end

function endpoints()
[host, port] = spiked.internal.splitUrl('tcp://127.0.0.1:80');
check('host and port', strcmp(host, '127.0.0.1') && port == 80);
check('IPv6', strcmp(spiked.internal.splitUrl('tcp://[::1]:80'), '::1'));
for url = {'ipc:///tmp/x', '127.0.0.1:80', 'tcp://x', 7}
    checkError('spiked:invalid', @() spiked.internal.splitUrl(url{1}));
end
end
