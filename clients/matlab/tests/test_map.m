function tests = test_map()
% test_map  Kernels on the channels of a recording, against a daemon.

% SPDX-License-Identifier: BSD-3-Clause
tests = {
    'map: numbers'          @numbers
    'map: vectors'          @vectors
    'map: several results'  @several
    'map: arguments'        @arguments
    'map: which samples'    @samples
    'map: errors'           @errors
    };
end

function rec = plain()
persistent client recording
if isempty(recording)
    client = spiked.Client();
    recording = client.open(fullfile(getenv('SPIKED_TEST_DIR'), 'plain.h5'), 'Dataset', '/traces', 'SamplingFrequency', 20000, 'GainUV', 0.25, ...
        'OffsetUV', 3);
end
rec = recording;
end

function k = kernel(varargin)
sp = spiked.Client();
k = sp.compile(varargin);
end

function k = counter()
k = kernel('def count(x, level):', '    n = 0', '    for v in x:', '        if v < level:', '            n += 1', '    return n');
end

function k = finder()
k = kernel('def find(x, level):', '    at = []', '    for i in range(len(x)):', ...
    '        if x[i] < level:', '            at.append(i)', '    return at');
end

function numbers()
rec = plain();
n = rec.map(counter(), -50);
check('a row of int64', isa(n, 'int64') && isequal(n, int64(sum(rec.read() < -50, 1))));
end

function vectors()
rec = plain();
x = rec.read();
times = rec.map(finder(), -50);
check('a row cell', iscell(times) && isequal(size(times), [1 rec.numChannels]));
for c = 1:rec.numChannels
    check('counted from 0', isequal(times{c}, int64(find(x(:, c) < -50)) - 1));
end
none = rec.map(finder(), -40000);
check('none', all(cellfun(@isempty, none)));
e = jsondecode(fileread(fullfile(getenv('SPIKED_TEST_DIR'), 'expected.json')));
check('as Python has them', isequal(double(times{2}), e.times(:)));
end

function several()
rec = plain();
x = rec.read();
[low, first, loud] = rec.map(kernel('def f(x):', '    return float(x.min()), x[:3], x.max() > 100'));
check('doubles', isequal(low, double(min(x, [], 1))));
check('vectors', isequal([first{:}], x(1:3, :)));
check('logical', islogical(loud) && isequal(loud, max(x, [], 1) > 100));
checkError('spiked:invalid', @() two());
rec.map(kernel('def f(x):', '    y = x[0]'));
end

function two()
rec = plain();
[~, ~] = rec.map(counter(), -50);
end

function arguments()
rec = plain();
x = double(rec.read(1, 4));
k = kernel('def dot(x, w, m, scale=1.0):', '    s = 0.0', '    for i in range(len(w)):', ...
    '        s += x[i] * w[i] * m[1, 0]', '    return s * scale');
w = [1 2 3 4];
m = [1 2; 3 4];
check('vectors and matrices', isequal(rec.map(k, w, m), w * x * 3));
check('a scalar', isequal(rec.map(k, w, m, 2, 'Last', 4), w * x * 6));
end

function samples()
rec = plain();
x = rec.read();
length_of = kernel('def f(x):', '    return len(x)');
check('a part', isequal(rec.map(length_of, 'First', 11, 'Last', 20), int64(10 * ones(1, 4))));
check('no frames', isequal(rec.map(length_of, 'First', 1, 'Last', 0), zeros(1, 4, 'int64')));
itself = kernel('def f(x):', '    return x');
part = rec.map(itself, 'First', 11, 'Last', 20);
check('these', isequal([part{:}], x(11:20, :)));
scaled = rec.map(itself, 'Scaled', true, 'Last', 100);
check('microvolts', isequal([scaled{:}], rec.read(1, 100, 'Scaled', true)));
filtered = rec.map(itself, 'Preprocess', {spiked.commonReference('median')});
check('a stage', isequal([filtered{:}], single(double(x) - median(double(x), 2))));
end

function errors()
rec = plain();
e = checkError('spiked:invalid', @() rec.map(kernel('def f(x):', '    return x[len(x)]')));
check('channel and line', ~isempty(strfind(e.message, 'channel 0: f: line 2')));
checkError('spiked:invalid', @() rec.map(kernel('def f(x):', '    x[0] = 1')));
checkError('spiked:invalid', @() rec.map(counter()));
checkError('spiked:invalid', @() rec.map(counter(), -50, 'Threshold', 1));
checkError('spiked:invalid', @() rec.map(counter(), -50, 'Segment', 2));
checkError('spiked:unsupported', @() rec.map(kernel('def f(x):', '    return np.zeros((2, 2))')));
checkError('spiked:notFound', @() rec.map('nobody'));
endless = kernel('def f(x):', '    n = 0', '    while x[0] == x[0]:', '        n += 1', '    return n');
checkError('spiked:deadline', @() rec.map(endless, 'Timeout', 0.3));
end
