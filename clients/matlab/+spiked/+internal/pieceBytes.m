function n = pieceBytes()
% pieceBytes  Bytes of the pieces in which arrays pass through a socket, so that no second copy of a large array is ever made.

% SPDX-License-Identifier: BSD-3-Clause
n = 1024 * 1024;
end
