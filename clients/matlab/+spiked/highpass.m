function stage = highpass(freqMin, varargin)
% highpass  Preprocessing stage: Butterworth high-pass.
%
%   stage = spiked.highpass(freqMin)               Hz, 0 < freqMin < sampling frequency / 2; default 300
%   stage = spiked.highpass(..., 'Order', 5)       1 to 8, of the prototype; forward and backward doubles it
%   stage = spiked.highpass(..., 'ZeroPhase', true)   forward and backward on a fixed time grid; false is causal
%
%   Error spiked:invalid for an option that does not exist; the daemon checks the values.
%
%   See also spiked.bandpass, spiked.commonReference

% SPDX-License-Identifier: BSD-3-Clause
if nargin < 1
    freqMin = 300;
end
o = spiked.internal.parseOptions('highpass', struct('Order', 5, 'ZeroPhase', true), varargin);
stage = struct('stage', 'highpass', 'freq_min', freqMin, 'order', o.Order, 'zero_phase', logical(o.ZeroPhase));
end
