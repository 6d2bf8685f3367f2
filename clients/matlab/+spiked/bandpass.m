function stage = bandpass(freqMin, freqMax, varargin)
% bandpass  Preprocessing stage: Butterworth band-pass.
%
%   stage = spiked.bandpass(freqMin, freqMax)      Hz, 0 < freqMin < freqMax < sampling frequency / 2; default 300, 6000
%   stage = spiked.bandpass(..., 'Order', 5)       1 to 8, of the prototype; forward and backward doubles it
%   stage = spiked.bandpass(..., 'ZeroPhase', true)   forward and backward on a fixed time grid; false is causal
%
%   Error spiked:invalid for an option that does not exist; the daemon checks the values.
%
%   See also spiked.highpass, spiked.commonReference

% SPDX-License-Identifier: BSD-3-Clause
if nargin < 1
    freqMin = 300;
end
if nargin < 2
    freqMax = 6000;
end
o = spiked.internal.parseOptions('bandpass', struct('Order', 5, 'ZeroPhase', true), varargin);
stage = struct('stage', 'bandpass', 'freq_min', freqMin, 'freq_max', freqMax, 'order', o.Order, 'zero_phase', logical(o.ZeroPhase));
end
