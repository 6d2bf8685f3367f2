function tests = test_daemon()
% test_daemon  Against real daemons, on the files and with the expectations that tests/e2e/test_octave.py made.

% SPDX-License-Identifier: BSD-3-Clause
tests = {
    'connect and ping'                     @connecting
    'info and stats'                       @service
    'open a plain dataset'                 @openPlain
    'open NWB'                             @openNwb
    'read'                                 @reading
    'read a large reply'                   @readLarge
    'peaks of a file, as Python has them'  @detectFile
    'peaks of a part'                      @detectPart
    'peaks of NWB with segments'           @detectNwb
    'peaks of a matrix, as of the file'    @detectMatrix
    'peaks by own levels and signs'        @detectLevels
    'options of detection'                 @detectOptions
    'peaks in every class'                 @detectClasses
    'a result file'                        @resultFile
    'reduce a matrix'                      @reduceMatrix
    'reduce a file'                        @reduceFile
    'one frame, one channel'               @smallShapes
    'empty matrices'                       @emptyMatrix
    'a large matrix'                       @largeMatrix
    'wrong values'                         @wrongValues
    'wrong files'                          @wrongFiles
    'wrong token'                          @wrongToken
    'a role that may not'                  @wrongRole
    'too large'                            @tooLarge
    'busy'                                 @busy
    'deadline'                             @deadline
    'warnings'                             @warnings
    'a closed client'                      @closed
    'an interrupted exchange'              @interrupted
    'no daemon'                            @nobody
    'found by endpoint.json'               @foundByFile
    'a peer that is no daemon'             @noDaemonThere
    'a peer that breaks off'               @breaksOff
    'a peer that is silent'                @silent
    'daemon gone'                          @gone
    };
end

function e = expected()
persistent read
if isempty(read)
    read = jsondecode(fileread(fullfile(getenv('SPIKED_TEST_DIR'), 'expected.json')));
end
e = read;
end

function path = file(name)
path = fullfile(getenv('SPIKED_TEST_DIR'), name);
end

function sp = client()
% One for all tests; the errors that they provoke must leave it in order.
persistent made
if isempty(made)
    made = spiked.Client();
end
sp = made;
end

function rec = plain()
persistent made
if isempty(made)
    made = client().open(file('plain.h5'), 'Dataset', '/traces', 'SamplingFrequency', 20000, 'GainUV', 0.25, 'OffsetUV', 3);
end
rec = made;
end

function rec = nwb()
persistent made
if isempty(made)
    made = quietly(@() client().open(file('session.nwb')));
end
rec = made;
end

function value = quietly(f)
% Without the warnings of the daemon.
before = warning('off', 'spiked:warning');
restore = onCleanup(@() warning(before));
value = f();
end

function stages = chain()
stages = {spiked.bandpass(300, 6000), spiked.commonReference('median')};
end

function checkPeaks(peaks, want)
check('as many peaks', numel(peaks.sampleIndex) == want.count);
check('there are peaks', want.count > 20);
check('samples', isequal(peaks.sampleIndex, want.sample(:) + 1));
check('channels', isequal(peaks.channelIndex, want.channel(:) + 1));
check('segments', isequal(peaks.segmentIndex, want.segment(:) + 1));
check('amplitudes, to the last bit', isequal(peaks.amplitude, typecast(unhex(want.amplitude), 'double').'));
end

function connecting()
sp = spiked.connect();
check('version', ~isempty(sp.version) && sp.pid > 0 && sp.limits.message_bytes > 0);
check('seconds', sp.ping() > 0 && sp.ping() < 5);
sp.close();
sp.close();
given = spiked.Client('Url', getenv('SPIKED_URL'), 'Token', getenv('SPIKED_TOKEN'), 'Timeout', 20);
check('timeout', given.timeout == 20 && given.ping() < 5);
text = evalc('disp(given)');
check('disp says where', ~isempty(strfind(text, 'tcp://')));
end

function service()
i = client().info();
check('pid', i.pid == client().pid);
s = client().stats();
check('hello was counted', s.operations.hello.ok > 0);
end

function openPlain()
rec = plain();
check('shape', rec.numChannels == 4 && rec.numSamples == 60000);
check('values', rec.samplingFrequency == 20000 && strcmp(rec.dtype, 'int16') && strcmp(rec.layout, 'generic'));
check('gains', isequal(rec.gainsUV, 0.25 * ones(1, 4)) && isequal(rec.offsetsUV, 3 * ones(1, 4)));
check('one segment', isequal(size(rec.segments), [1 1]) && rec.segments.numSamples == 60000);
check('ids', iscell(rec.channelIds) && numel(rec.channelIds) == 4);
t = client().open(file('plain.h5'), 'Dataset', '/transposed', 'SamplingFrequency', 20000, 'TimeAxis', 2);
check('time on the second axis', isequal(t.read(), rec.read()));
check('disp says what', ~isempty(strfind(evalc('disp(rec)'), '4 channels')));
end

function openNwb()
rec = nwb();
check('layout', strcmp(rec.layout, 'nwb') && rec.numChannels == 4);
check('segments', isequal([rec.segments.numSamples], [40000 20000]) && abs(rec.segments(2).startTimeS - 12) < 1e-9);
check('ids', isequal(rec.channelIds, {'AP0', 'AP1', 'AP2', 'AP3'}));
check('locations', isequal(rec.channelLocations(:, 1:2), [0 0; 20 10; 40 20; 60 30]));
check('gains', max(abs(rec.gainsUV - 0.5)) < 1e-9);
end

function reading()
rec = plain();
all = rec.read();
check('class and shape', isa(all, 'int16') && isequal(size(all), [60000 4]));
check('corner', isequal(double(all(1:2, :)), expected().first_frames));
check('frames are 1-based, both ends included', isequal(rec.read(11, 20), all(11:20, :)));
check('one frame', isequal(rec.read(60000, 60000), all(60000, :)));
check('from a frame on', isequal(rec.read(59991), all(59991:end, :)));
check('channels in any order', isequal(rec.read(1, 5, 'Channels', [3 1]), all(1:5, [3 1])));
check('one channel', isequal(rec.read(1, 5, 'Channels', 4), all(1:5, 4)));
x = rec.read(1, 100, 'Scaled', true);
check('microvolts', isa(x, 'single') && isequal(x, single(double(all(1:100, :)) * 0.25 + 3)));
check('no frame', isequal(size(rec.read(1, 0)), [0 4]));
check('segment 2', isequal(nwb().read(1, 3, 'Segment', 2), all(40001:40003, :)));
check('by the client', isequal(quietly(@() client().read(file('session.nwb'), 1, 3)), all(1:3, :)));
checkError('spiked:invalid', @() rec.read(1, 60001));
checkError('spiked:invalid', @() rec.read(0, 5));
checkError('spiked:invalid', @() rec.read(1, 5, 'Channels', 5));
checkError('spiked:invalid', @() rec.read(1, 5, 'Channels', 0));
checkError('spiked:invalid', @() nwb().read(1, 5, 'Segment', 3));
end

function readLarge()
rec = client().open(file('plain.h5'), 'Dataset', '/large', 'SamplingFrequency', 20000);
x = rec.read();
check('12 MB', isequal(size(x), [200000 30]));
i = (0:199999).';
check('every value', isequal(double(x), mod(i * 7 + (0:29) * 13, 30000) - 15000));
end

function detectFile()
rec = plain();    % Octave: two results of a method need a variable
peaks = rec.detectPeaks('PeakSign', 'neg', 'DetectThreshold', 5, 'ExcludeSweepMs', 1, 'Preprocess', chain(), 'Seed', 0);
checkPeaks(peaks, expected().plain);
check('seconds', isequal(peaks.time, (peaks.sampleIndex - 1) / 20000));
[peaks, details] = rec.detectPeaks('Preprocess', chain());
checkPeaks(peaks, expected().plain);
check('noise levels', isequal(details.noiseLevels, typecast(unhex(expected().plain_noise), 'double')));
check('timings', details.timings.total > 0);
end

function detectPart()
whole = plain().detectPeaks('NoiseLevels', 10);
part = plain().detectPeaks('NoiseLevels', 10, 'First', 20001, 'Last', 40000);
k = whole.sampleIndex >= 20001 & whole.sampleIndex <= 40000;
check('the peaks of the whole', any(k) && isequal(part.sampleIndex, whole.sampleIndex(k)) && isequal(part.amplitude, whole.amplitude(k)));
end

function detectNwb()
peaks = quietly(@() nwb().detectPeaks('PeakSign', 'both', 'Preprocess', chain()));
checkPeaks(peaks, expected().nwb);
check('both segments', isequal(unique(peaks.segmentIndex), [1; 2]));
one = quietly(@() nwb().detectPeaks('PeakSign', 'both', 'Preprocess', chain(), 'Segment', 2, 'NoiseLevels', 10));
check('segment 2 alone', ~isempty(one.segmentIndex) && all(one.segmentIndex == 2));
end

function detectMatrix()
x = plain().read();
peaks = client().detectPeaks(x, 20000, 'Preprocess', chain());
check('as of the file', isequal(peaks, plain().detectPeaks('Preprocess', chain())));
checkPeaks(peaks, expected().plain);
end

function detectOptions()
x = double(plain().read());
rec = plain();
raw = rec.detectPeaks('DetectThreshold', 50, 'ThresholdUnit', 'raw', 'PeakSign', 'both');
check('raw: a level of 1', numel(raw.time) > 20 && isequal(raw, rec.detectPeaks('DetectThreshold', 50, 'NoiseLevels', 1, 'PeakSign', 'both')));
check('raw: beyond it', all(abs(raw.amplitude) > 50));
check('microvolts', isequal(raw, rec.detectPeaks('DetectThreshold', 12.5, 'ThresholdUnit', 'uV', 'PeakSign', 'both')));    % 0.25 uV a count
[few, details] = rec.detectPeaks('DetectThreshold', 50, 'ThresholdUnit', 'raw', 'MaxThreshold', 70, 'PeakSign', 'both');
check('artefacts', isequal(few.amplitude, raw.amplitude(abs(raw.amplitude) <= 70)) && details.dropped.maxThreshold == numel(raw.time) - numel(few.time));
check('no noise levels', isempty(details.noiseLevels) && details.dropped.deadTimeMs == 0);
[few, details] = rec.detectPeaks('DetectThreshold', 50, 'ThresholdUnit', 'raw', 'DeadTimeMs', 60, 'PeakSign', 'both');
gaps = @(c) diff(few.sampleIndex(few.channelIndex == c));
check('dead time', details.dropped.deadTimeMs > 0 && all(arrayfun(@(c) all(gaps(c) >= 1200), 1:size(x, 2))));
[~, details] = quietly2(@() rec.detectPeaks('DetectThreshold', 50, 'ThresholdUnit', 'raw', 'MaxRate', 1, 'PeakSign', 'both'));
check('rate', details.dropped.maxRate > 0);
[~, details] = rec.detectPeaks('NoiseMethod', 'std', 'NoiseSamples', 'all');
n = 10000;    % 0.5 s
pieces = floor(size(x, 1) / n);
level = zeros(1, size(x, 2));
for i = 1:pieces
    level = level + std(x((i - 1) * n + (1:n), :), 1, 1) / pieces;
end
check('std of all chunks', all(abs(details.noiseLevels - level) <= 1.2e-7 * level));    % a chunk's level is a float32
places = [zeros(size(x, 2), 1), 20 * (1:size(x, 2)).'];
alone = client().detectPeaks(plain().read(), 20000, 'Method', 'locally_exclusive', 'ChannelLocations', places, 'RadiusUm', 1, 'NoiseLevels', 10);
near = client().detectPeaks(plain().read(), 20000, 'Method', 'locally_exclusive', 'ChannelLocations', places, 'RadiusUm', 1000, 'NoiseLevels', 10);
check('neighbours compete', numel(near.time) > 20 && numel(near.time) < numel(alone.time));
apart = diff(near.sampleIndex);
check('one of them at a time, or equal ones on a frame', all(apart > 20 | apart == 0));
compat = rec.detectPeaks('Compat', 'spikeinterface', 'ChunkFrames', 5000, 'Preprocess', chain());
check('compat', numel(compat.time) > 20 && all(compat.amplitude == round(compat.amplitude)));    % int16 again after each stage
checkError('spiked:invalid', @() client().detectPeaks(x, 20000, 'Method', 'locally_exclusive'));
checkError('spiked:invalid', @() client().detectPeaks(x, 20000, 'Method', 'locally_exclusive', 'ChannelLocations', 'here'));
checkError('spiked:invalid', @() rec.detectPeaks('ThresholdUnit', 'mV'));
checkError('spiked:invalid', @() rec.detectPeaks('MaxRate', 'fast'));
checkError('spiked:invalid', @() rec.detectPeaks('Compat', 'kilosort'));
end

function [a, b] = quietly2(f)
% Two values, without the warnings of the daemon.
before = warning('off', 'spiked:warning');
restore = onCleanup(@() warning(before));
[a, b] = f();
end

function detectLevels()
x = plain().read();
levels = [9 10 11 12];
both = client().detectPeaks(x, 20000, 'NoiseLevels', levels, 'PeakSign', 'both', 'ExcludeSweepMs', 0);
k = abs(double(x)) > 5 * levels;
check('with no window: every local extremum above the threshold is above it', all(k(sub2ind(size(k), both.sampleIndex, both.channelIndex))));
neg = client().detectPeaks(x, 20000, 'NoiseLevels', levels.');
pos = client().detectPeaks(-x, 20000, 'NoiseLevels', levels, 'PeakSign', 'pos');
check('signs mirror', isequal(neg.sampleIndex, pos.sampleIndex) && isequal(neg.amplitude, -pos.amplitude));
check('amplitudes are the samples', isequal(neg.amplitude, double(x(sub2ind(size(x), neg.sampleIndex, neg.channelIndex)))));
checkError('spiked:invalid', @() client().detectPeaks(x, 20000, 'NoiseLevels', [1 2]));
end

function detectClasses()
x = plain().read(1, 20000);
want = client().detectPeaks(x, 20000, 'NoiseLevels', 10);
for kind = {'int32', 'int64', 'single', 'double'}
    got = client().detectPeaks(cast(x, kind{1}), 20000, 'NoiseLevels', 10);
    check(kind{1}, isequal(got, want));
end
end

function resultFile()
out = file('octave-out.nwb');
rec = plain();
[peaks, details] = rec.detectPeaks('NoiseLevels', 10, 'Output', out);
check('written', exist(out, 'file') == 2 && strcmp(details.output, out) && ~details.skipped);
check('peaks come as well', ~isempty(peaks.sampleIndex));
[~, details] = rec.detectPeaks('NoiseLevels', 10, 'Output', out, 'SkipDone', true);
check('done already', details.skipped);
end

function reduceMatrix()
x = plain().read();
d = double(x);
names = {'count_above', 'sum', 'sum_of_squares', 'weighted_sum', 'mean', 'std', 'rms', 'min', 'max', 'mad', 'cumsum'};
r = client().reduce(x, names, 'Threshold', 20, 'SamplingFrequency', 20000);
check('every name', isequal(sort(fieldnames(r)), sort(names(:))));
check('count_above', isequal(r.count_above, sum(d > 20, 1)));
check('sum', isequal(r.sum, sum(d, 1)));
check('sum_of_squares', isequal(r.sum_of_squares, sum(d .^ 2, 1)));
check('weighted_sum', isequal(r.weighted_sum, sum(d .* (2 * (d > 20) - 1), 1)));
check('mean', near(r.mean, mean(d, 1)));
check('std of the population', near(r.std, std(d, 1, 1)));
check('rms', near(r.rms, sqrt(mean(d .^ 2, 1))));
check('min and max', isequal(r.min, min(d, [], 1)) && isequal(r.max, max(d, [], 1)));
check('mad', isequal(size(r.mad), [1 4]) && all(r.mad > 5 & r.mad < 15));
check('cumsum', isequal(r.cumsum, cumsum(d, 1)));
check('one name, one row', isequal(client().reduce(x, 'max'), r.max));
check('a cell of one name is a struct', isequal(client().reduce(x, {'max'}), struct('max', r.max)));
s = client().reduce(single(d) / 7, {'mean', 'std'});
check('single', near(s.mean, mean(double(single(d) / 7), 1)) && near(s.std, std(double(single(d) / 7), 1, 1)));
f = client().reduce(x, {'std'}, 'Preprocess', chain(), 'SamplingFrequency', 20000);
check('filtered', all(f.std > 0 & f.std < r.std));
end

function yes = near(a, b)
yes = isequal(size(a), size(b)) && all(abs(a - b) <= 1e-12 * max(abs(b)));
end

function reduceFile()
x = double(plain().read());
r = plain().reduce({'mean', 'std', 'mad'});
check('mean', near(r.mean, mean(x, 1)) && near(r.std, std(x, 1, 1)));
check('as Python has it', isequal(r.mad, typecast(unhex(expected().plain_mad), 'double')));
s = plain().reduce('max', 'Scaled', true);
check('microvolts', near(s, max(x, [], 1) * 0.25 + 3));
check('a part', isequal(plain().reduce('sum', 'First', 11, 'Last', 20), sum(x(11:20, :), 1)));
check('a threshold', isequal(plain().reduce('count_above', 'Threshold', 20), sum(x > 20, 1)));
end

function smallShapes()
check('1 x 1', client().reduce(7, 'sum') == 7);
check('a row is one frame', isequal(client().reduce([1 2 3], 'sum'), [1 2 3]));
check('a column is one channel', client().reduce([1; 2; 3], 'sum') == 6);
p = client().detectPeaks([0; 0; -9; 0; 0], 1000, 'NoiseLevels', 1);
check('one channel', p.sampleIndex == 3 && p.channelIndex == 1 && p.amplitude == -9 && p.time == 0.002);
end

function emptyMatrix()
p = client().detectPeaks(zeros(0, 4, 'int16'), 20000, 'NoiseLevels', 1);
check('no frames, no peaks', isequal(size(p.sampleIndex), [0 1]));
check('a sum of nothing', isequal(client().reduce(zeros(0, 3), 'sum'), [0 0 0]));
checkError('spiked:invalid', @() client().reduce(zeros(5, 0), 'sum'));
checkError('spiked:invalid', @() client().detectPeaks([], 20000));
end

function largeMatrix()
x = int16(mod(reshape(1:300000 * 64, [], 64) * 7919, 201) - 100);
x(1000:5000:end, :) = -900;
started = tic();
p = client().detectPeaks(x, 30000, 'NoiseLevels', 30);
fprintf('      detectPeaks of 64 channels x 10 s int16 (%.1f MB): %.2f s\n', numel(x) * 2 / 1e6, toc(started));
check('every one', numel(p.sampleIndex) == 60 * 64);
t = zeros(1, 50);
for i = 1:50
    t(i) = client().ping();
end
fprintf('      ping: median %.2f ms, least %.2f ms\n', 1e3 * median(t), 1e3 * min(t));
end

function wrongValues()
x = zeros(100, 2);
sp = client();
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'DetectThreshold', NaN));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'DetectThreshold', Inf));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'DetectThreshold', -1));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'DetectThreshold', 'five'));
checkError('spiked:invalid', @() sp.detectPeaks(x, NaN));
checkError('spiked:invalid', @() sp.detectPeaks(x, 0));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'PeakSign', 'up'));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'Method', 'magic'));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'Treshold', 5));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'Preprocess', {spiked.bandpass(300, 15000)}));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'Preprocess', {'bandpass'}));
checkError('spiked:invalid', @() sp.detectPeaks(x, 20000, 'Seed', -1));
checkError('spiked:invalid', @() sp.detectPeaks(zeros(3, 3, 3), 20000));
checkError('spiked:invalid', @() sp.detectPeaks('text', 20000));
checkError('spiked:invalid', @() sp.reduce(x, 'median'));
checkError('spiked:invalid', @() sp.reduce(x, {}));
checkError('spiked:invalid', @() sp.reduce(x, {'mean', 'mean'}));
checkError('spiked:invalid', @() sp.reduce(x, 'count_above'));
checkError('spiked:invalid', @() sp.reduce(x, 'count_above', 'Threshold', NaN));
checkError('spiked:invalid', @() sp.reduce(complex(x), 'mean'));
checkError('spiked:invalid', @() sp.request('ping', struct('surprise', 1)));
checkError('spiked:notFound', @() sp.request('evaporate', struct()));
check('and still in order', sp.ping() < 5);
end

function wrongFiles()
sp = client();
e = checkError('spiked:notFound', @() sp.open(file('absent.nwb')));
check('names the file', ~isempty(strfind(e.message, 'absent.nwb')));
checkError('spiked:corrupt', @() sp.open(file('damaged.nwb')));
checkError('spiked:unsupported', @() sp.open(file('plain.h5')));
checkError('spiked:notFound', @() sp.open(file('plain.h5'), 'Dataset', '/nothing', 'SamplingFrequency', 20000));
checkError('spiked:invalid', @() sp.open(file('plain.h5'), 'Dataset', '/traces'));
checkError('spiked:invalid', @() sp.open(''));
checkError('spiked:invalid', @() sp.open(5));
checkError('spiked:invalid', @() sp.open(file('plain.h5'), 'Data', '/traces'));
end

function wrongToken()
checkError('spiked:denied', @() spiked.Client('Url', getenv('SPIKED_URL'), 'Token', 'wrong'));
end

function sp = strict()
% A daemon with small limits and the role read.
persistent made
if isempty(made)
    made = spiked.Client('Url', expected().strict.url, 'Token', expected().strict.token);
end
sp = made;
end

function wrongRole()
checkError('spiked:denied', @() strict().detectPeaks(zeros(10, 1), 20000));
checkError('spiked:denied', @() strict().open(file('plain.h5')));
end

function sp = narrow()
% A daemon with small limits and few roots.
persistent made
if isempty(made)
    made = spiked.Client('Url', expected().narrow.url, 'Token', expected().narrow.token);
end
sp = made;
end

function tooLarge()
sp = narrow();
e = checkError('spiked:tooLarge', @() sp.reduce(zeros(1000, 1000), 'sum'));
check('says the limit', ~isempty(strfind(e.message, 'message_bytes')));
checkError('spiked:tooLarge', @() sp.reduce(1, num2cell(repmat('x', 1, 5000))));
rec = narrow().open(fullfile(file('inside'), 'plain.h5'), 'Dataset', '/large', 'SamplingFrequency', 20000);
checkError('spiked:tooLarge', @() rec.read());
checkError('spiked:denied', @() sp.open(file('plain.h5')));
check('and still in order', sp.ping() < 5);
end

function busy()
holder = spiked.internal.Socket(expected().narrow.url);
holder.put([spiked.internal.bigEndian(uint64(1e6)) uint8([128 0 0 1])]);    % a message of which the rest does not come
pause(0.1);
x = ones(410000, 1);
started = tic();
checkError('spiked:busy', @() narrow().reduce(x, 'sum'));
check('it was tried again', toc(started) > 0.2);
holder.close();
pause(0.1);
check('and then there is room', narrow().reduce(x, 'sum') == 410000);
end

function deadline()
x = zeros(200000, 16);
checkError('spiked:deadline', @() client().detectPeaks(x, 20000, 'Preprocess', chain(), 'Timeout', 0.002));
checkError('spiked:invalid', @() client().detectPeaks(x, 20000, 'Timeout', NaN));
check('and still in order', client().ping() < 5);
end

function warnings()
lastwarn('');
x = [zeros(2000, 1) plainColumn()];
before = warning('off', 'spiked:warning');
restore = onCleanup(@() warning(before));
sp = client();
[~, details] = sp.detectPeaks(x, 20000);
check('a silent channel is named', numel(details.warnings) == 1 && ~isempty(strfind(details.warnings{1}, '0')));
[~, id] = lastwarn();
check('as a warning too', strcmp(id, 'spiked:warning') || isempty(id));
end

function x = plainColumn()
x = double(plain().read(1, 2000, 'Channels', 1));
end

function closed()
sp = spiked.Client();
sp.close();
checkError('spiked:noDaemon', @() sp.ping());
end

function interrupted()
% A reply that was not read to its end: the socket is closed, never used again, and the client goes on with a new one.
s = spiked.internal.Socket(getenv('SPIKED_URL'));
check('open', s.isOpen);
half(s);
check('closed', ~s.isOpen);
s = spiked.internal.Socket(getenv('SPIKED_URL'));
s.begin();
s.finish();
s.abandon();
check('a finished one stays', s.isOpen);
end

function half(s)
s.begin();
guard = onCleanup(@() abandon(s));
s.put(spiked.internal.bigEndian(uint64(100)));
end

function nobody()
e = checkError('spiked:noDaemon', @() spiked.Client('Url', 'tcp://127.0.0.1:1'));
check('where', ~isempty(strfind(e.message, 'tcp://127.0.0.1:1')));
checkError('spiked:invalid', @() spiked.Client('Url', 'ipc:///tmp/spiked.sock'));
end

function foundByFile()
names = {'SPIKED_URL', 'SPIKED_TOKEN', 'SPIKED_RUNTIME_DIR'};
before = cellfun(@getenv, names, 'UniformOutput', false);
restore = onCleanup(@() cellfun(@setenv, names, before));
setenv('SPIKED_URL', '');
setenv('SPIKED_TOKEN', '');
setenv('SPIKED_RUNTIME_DIR', expected().runtime_dir);
sp = spiked.Client();
check('by address and token', sp.ping() < 5);
sp = spiked.Client('Url', sp.url);
check('the token alone', sp.ping() < 5);
checkError('spiked:denied', @() spiked.Client('Url', expected().strict.url));
setenv('SPIKED_RUNTIME_DIR', file('inside'));
checkError('spiked:noDaemon', @() spiked.Client());
end

function noDaemonThere()
checkError('spiked:protocol', @() spiked.Client('Url', expected().fake.garbage));
end

function breaksOff()
checkError('spiked:connectionLost', @() spiked.Client('Url', expected().fake.half));
checkError('spiked:protocol', @() spiked.Client('Url', expected().fake.nonsense));
end

function silent()
started = tic();
checkError('spiked:deadline', @() spiked.Client('Url', expected().fake.silent, 'Timeout', 0.1));
check('bounded', toc(started) < 15);
end

function gone()
sp = strict();
check('there', sp.ping() < 5);
system(sprintf('kill -9 %d', expected().strict.pid));
pause(0.3);
checkError('spiked:connectionLost', @() sp.ping());
checkError('spiked:noDaemon', @() sp.ping());
checkError('spiked:noDaemon', @() sp.ping());
end
