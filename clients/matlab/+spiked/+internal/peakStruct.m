function peaks = peakStruct(words, fs)
% peakStruct  Table of peaks as a struct of double columns.
%
%   peaks = peakStruct(words, fs)
%
%   words   int64 (4, peaks): the rows of the wire's table (protocol/SPEC.md 2.4)
%   fs      Hz
%   peaks   fields sampleIndex, channelIndex, segmentIndex (1-based), amplitude, time (s from the first frame of the segment), all (peaks, 1)

% SPDX-License-Identifier: BSD-3-Clause
n = size(words, 2);
sample = double(reshape(words(1, :), n, 1));
peaks = struct();
peaks.sampleIndex = sample + 1;
peaks.channelIndex = double(reshape(words(2, :), n, 1)) + 1;
peaks.amplitude = reshape(typecast(reshape(words(3, :), 1, []), 'double'), n, 1);
peaks.segmentIndex = double(reshape(words(4, :), n, 1)) + 1;
peaks.time = sample / fs;
end
