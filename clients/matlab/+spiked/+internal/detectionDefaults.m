function o = detectionDefaults()
% detectionDefaults  Options that detectPeaks of a matrix and of a recording have in common.

% SPDX-License-Identifier: BSD-3-Clause
o = struct('Method', 'by_channel', 'PeakSign', 'neg', 'DetectThreshold', 5, 'ExcludeSweepMs', 1, 'Preprocess', {{}}, 'NoiseLevels', [], 'Seed', 0, ...
    'RadiusUm', [], 'ChannelLocations', [], 'ThresholdUnit', '', 'MaxThreshold', [], 'DeadTimeMs', [], 'MaxRate', [], 'NoiseMethod', '', ...
    'NoiseSamples', '', 'Compat', '', 'ChunkFrames', [], 'Timeout', []);
end
