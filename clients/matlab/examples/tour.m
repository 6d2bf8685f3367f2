% tour  What the client does, in one minute: octave-cli --quiet tour.m, or tour in MATLAB. A daemon must run (the command spiked).
%
% Set file to a recording of your own (NWB, or a MAT-file of -v7.3) to see the last part.

% SPDX-License-Identifier: BSD-3-Clause
addpath(fullfile(fileparts(mfilename('fullpath')), '..'));
if ~exist('file', 'var')
    file = '';
end

sp = spiked.Client();
disp(sp);
sp.ping();    % the first call reads the code
fprintf('ping: %.2f ms\n', 1e3 * sp.ping());

% --- A matrix in memory: frames x channels, int16 as an amplifier delivers it ---
fs = 30000;
x = int16(20 * randn(10 * fs, 16));
spike = int16([-40; -180; -300; -150; 20; 90; 60; 20]);
at = 1000:3000:size(x, 1) - 10;
for k = 1:numel(at)
    channel = mod(k - 1, 16) + 1;
    rows = at(k):at(k) + numel(spike) - 1;
    x(rows, channel) = x(rows, channel) + spike;
end

started = tic();
[peaks, details] = sp.detectPeaks(x, fs, 'DetectThreshold', 5, ...
    'Preprocess', {spiked.bandpass(300, 6000), spiked.commonReference('median')});
fprintf('detectPeaks: %d peaks (%d spikes were put in) in %.2f s, of which the daemon computed %.2f s\n', numel(peaks.time), numel(at), ...
    toc(started), details.timings.total / 1e9);
fprintf('first peak: sample %d, channel %d, %.1f counts, %.4f s\n', peaks.sampleIndex(1), peaks.channelIndex(1), peaks.amplitude(1), peaks.time(1));
fprintf('noise level of channel 1: %.2f counts\n', details.noiseLevels(1));

r = sp.reduce(x, {'mean', 'std', 'count_above'}, 'Threshold', 60);
fprintf('channel 1: mean %.3f, std %.2f, %d samples above 60\n', r.mean(1), r.std(1), r.count_above(1));

% --- An error says what, where, and what to do ---
try
    sp.detectPeaks(x, fs, 'DetectThreshold', -1);
catch e
    fprintf('%s\n    %s\n', e.identifier, e.message);
end

% --- A recording: the daemon reads the file, only results travel ---
if ~isempty(file)
    rec = sp.open(file);
    disp(rec);
    size(rec.read(1, 100, 'Scaled', true))
    peaks = rec.detectPeaks('Preprocess', {spiked.bandpass(300, 6000), spiked.commonReference('median')});
    rate = accumarray(peaks.channelIndex, 1, [rec.numChannels 1]) / (rec.numSamples / rec.samplingFrequency);
    fprintf('%d peaks; busiest channel %s, %.1f Hz\n', numel(peaks.time), rec.channelIds{find(rate == max(rate), 1)}, max(rate));
end
sp.close();
